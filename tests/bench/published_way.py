"""Mask-GRPO the published way, as a baseline and an oracle: slow on purpose, and right.

One image at a time through transformers' Phi, whole sequences under a dense mask, logits over the full vocabulary on
every row, the text computed anew at every unmasking step, a host round trip a step; and a loss that replays one
unmasking step at a time. It keeps our fixes of what that way gets wrong (docs/algorithm.md), so that both ways can be
compared number by number, and takes its noise from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.schemas.algorithm import MaskGRPOConfig, SamplingConfig
from tests.bench.published_phi import published_logits
from worker.maskgrpo.loss import mask_grpo_loss
from worker.maskgrpo.replay import Transitions
from worker.maskgrpo.sampling import draw_noise
from worker.maskgrpo.schedule import masked_counts, temperatures
from worker.showo.policy import ShowoPolicy


@dataclass(frozen=True)
class PublishedSample:
    """One picture of the published way."""

    codes: Tensor  # (N,) int64.
    unmasked_at: Tensor  # (N,) int64: the step at which each position was kept.
    log_prob: Tensor  # (T,) float32: candidate 2 by step.


def full_vocabulary_log_probs(policy: ShowoPolicy, prompt: str, codes: Tensor, guidance_scale: float) -> Tensor:
    """Log-softmax over the image codes at all positions of one picture, (N,) codes -> (N, K)."""
    if not guidance_scale:
        return dense_logits(policy, [prompt], codes[None])[0].log_softmax(dim=-1)
    conditional, unconditional = dense_logits(policy, [prompt, ""], codes.expand(2, -1))
    logits = (1 + guidance_scale) * conditional - guidance_scale * unconditional
    return logits.log_softmax(dim=-1)


def dense_logits(policy: ShowoPolicy, prompts: Sequence[str], codes: Tensor) -> Tensor:
    """Logits over the image codes, (B, N) codes -> (B, N, K): whole sequences, a dense mask, the full vocabulary."""
    config = policy.showo.config
    input_ids = policy.input_ids(prompts, codes)
    in_image = published_logits(policy, input_ids)[:, policy.layout.text_block_length + 1 : -1]
    return in_image[..., config.first_image_id : config.mask_token_id].float()


@torch.no_grad()
def sample_one(policy: ShowoPolicy, prompt: str, seed: int, sampling: SamplingConfig) -> PublishedSample:
    """Unmasks one picture with the noise that its seed gives."""
    num_tokens, num_steps = policy.num_image_tokens, sampling.num_unmasking_steps
    counts = masked_counts(num_tokens, num_steps)
    weights = temperatures(sampling.temperature, num_steps, sampling.temperature_schedule)
    noise = draw_noise([seed], num_steps, num_tokens, policy.device)
    codes = torch.full((num_tokens,), policy.codebook_size, device=policy.device)
    unmasked_at, log_prob = torch.zeros_like(codes), torch.zeros(num_steps)
    for step in range(num_steps):
        log_probs = full_vocabulary_log_probs(policy, prompt, codes, sampling.guidance_scale)
        cumulated = log_probs.exp().cumsum(dim=1)
        target = noise.uniform[step, 0][:, None] * cumulated[:, -1:]
        drawn = torch.searchsorted(cumulated, target, right=True).squeeze(1).clamp(max=policy.codebook_size - 1)
        confidence = log_probs.gather(1, drawn[:, None]).squeeze(1)
        score = confidence + weights[step] * noise.gumbel[step, 0]
        score = score.masked_fill(codes != policy.codebook_size, -torch.inf)
        kept = score.topk(counts[step] - counts[step + 1]).indices
        codes[kept], unmasked_at[kept] = drawn[kept], step
        log_prob[step] = confidence[kept].sum().item()
    return PublishedSample(codes, unmasked_at, log_prob)


def accumulate_one_by_one(
    policy: ShowoPolicy, transitions: Transitions, config: MaskGRPOConfig, guidance_scale: float
) -> float:
    """Adds the gradient of candidate 2 to the parameters, one unmasking step of one picture at a time."""
    total = 0.0
    for place in range(len(transitions)):
        one = transitions.index(torch.tensor([place]))
        log_probs = full_vocabulary_log_probs(policy, one.prompts[0], one.codes[0], guidance_scale)
        drawn = log_probs.gather(1, one.drawn[0][:, None]).squeeze(1)
        terms = drawn.masked_fill(~one.is_newly_unmasked[0], 0.0)[None]
        loss, _ = mask_grpo_loss(terms, one.old_terms, None, one.has_term, one.advantages, config, len(transitions))
        loss.backward()
        total += loss.item()
    return total


def accumulate_step_by_step(
    policy: ShowoPolicy, transitions: Transitions, config: MaskGRPOConfig, guidance_scale: float
) -> float:
    """The same, but one unmasking step of all pictures at a time: the published loop over steps, given batches."""
    total = 0.0
    for step in transitions.step.unique():
        part = transitions.index((transitions.step == step).nonzero().squeeze(1))
        logits = dense_logits(policy, part.prompts, part.codes)
        if guidance_scale:
            empty = dense_logits(policy, [""] * len(part), part.codes)
            logits = (1 + guidance_scale) * logits - guidance_scale * empty
        drawn = logits.log_softmax(dim=-1).gather(2, part.drawn[..., None]).squeeze(2)
        terms = drawn.masked_fill(~part.is_newly_unmasked, 0.0)
        loss, _ = mask_grpo_loss(terms, part.old_terms, None, part.has_term, part.advantages, config, len(transitions))
        loss.backward()
        total += loss.item()
    return total
