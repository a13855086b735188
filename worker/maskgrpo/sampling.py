"""Unmasking: from prompts and seeds to trajectories, all rollouts of all groups as one batch.

A sample depends on policy, prompt, seed and settings alone: every sample draws its noise from its own generator, before
the loop. What a batch can still change is the last bit of the logits, where a matrix product is summed in another
order; docs/algorithm.md says how far that goes.

Departure 2 from Show-o's sampler (docs/algorithm.md): a token is drawn by inverse distribution function from one
uniform number a position instead of `torch.multinomial`, the same distribution at a K-th of the noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig, TransitionDefinition
from worker.maskgrpo.guidance import GuidedPrefix, encode_prompts
from worker.maskgrpo.schedule import masked_counts, temperatures
from worker.maskgrpo.transition import EXACT, Choice, TermOptions, transition_terms
from worker.maskgrpo.types import Policy, Trajectory, UnmaskingStep

# Codes in a block of the inverse distribution function.
_BLOCK = 32

KNOWN_FROM_THE_START = -1
"""`unmasked_at` of a position that no step had to unmask."""


@dataclass(frozen=True)
class Noise:
    """All chance of B rollouts."""

    uniform: Tensor  # (T, B, N) float32 in [0, 1): draws the token of a position.
    gumbel: Tensor  # (T, B, N) float32: perturbs the log-confidence of a position.


def rollout(
    policy: Policy,
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    transition: TransitionDefinition = TransitionDefinition.CANDIDATE_2,
    options: TermOptions = EXACT,
    start: Tensor | None = None,
) -> Trajectory:
    """Unmasks B pictures and records every step, without gradients.

    Args:
        policy: the policy that samples, from now on the old policy of these rollouts.
        prompts: B prompts; a group is a prompt that stands G times.
        seeds: B seeds, one generator each.
        sampling: steps, temperature and guidance. With guidance, the recorded log-probs are those of the guided
            distribution, the one that was sampled; the loss recomputes the same.
        transition: the definition of the recorded log-probs.
        options: what modifies it.
        start: (B, N) int64 in [0, K], the codes that are known before the first step, K at as many masked positions in
            each row; None when all are masked. Known codes are never changed, and the schedule counts the masked ones.

    Returns:
        The trajectories, T steps of B rollouts, on the policy's device.

    Raises:
        ValueError: not one seed a prompt, no prompt, more steps than masked tokens, or rows of unequal counts.
    """
    steps = list(rollout_steps(policy, prompts, seeds, sampling, transition, options, start))
    kept = torch.stack([step.is_newly_unmasked for step in steps])
    drawn = torch.stack([step.drawn for step in steps])
    weights = temperatures(sampling.temperature, sampling.num_unmasking_steps, sampling.temperature_schedule)
    return Trajectory(
        codes=drawn[-1],
        unmasked_at=kept.byte().argmax(dim=0).masked_fill(~kept.any(dim=0), KNOWN_FROM_THE_START),
        drawn=drawn,
        confidence=torch.stack([step.confidence for step in steps]),
        entropy=torch.stack([step.entropy for step in steps]),
        log_prob=torch.stack([step.log_prob for step in steps]),
        token_log_prob=torch.stack([step.token_log_prob for step in steps]),
        # A position is kept once, so of the steps' orders only one is not 0.
        order=torch.stack([step.order for step in steps]).sum(dim=0),
        temperature=torch.tensor(weights, device=drawn.device),
    )


@torch.no_grad()
def rollout_steps(
    policy: Policy,
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    transition: TransitionDefinition = TransitionDefinition.CANDIDATE_2,
    options: TermOptions = EXACT,
    start: Tensor | None = None,
) -> Iterator[UnmaskingStep]:
    """Yields the T unmasking steps of `rollout`, whose arguments it takes, one at a time as they are made."""
    if not prompts or len(prompts) != len(seeds):
        raise ValueError(f"there are {len(prompts)} prompts and {len(seeds)} seeds: give one seed for each prompt")
    num_steps, mask_code = sampling.num_unmasking_steps, policy.codebook_size
    codes, num_masked = starting_codes(policy, len(prompts), start)
    counts = masked_counts(num_masked, num_steps, sampling.mask_schedule)
    weights = temperatures(sampling.temperature, num_steps, sampling.temperature_schedule)
    noise = draw_noise(seeds, num_steps, policy.num_image_tokens, policy.device)
    distinct, places = encode_prompts(policy, prompts, sampling.guidance_scale)
    prefix = distinct.index(places)
    for index in range(num_steps):
        rows = masked_rows(codes == mask_code, counts[index])
        is_blank = counts[index] == policy.num_image_tokens
        # The logits have no name here, so that they are freed before `unmask` makes as many probabilities.
        log_probs = (
            first_logits(policy, distinct, places) if is_blank else prefix.code_logits(policy, codes, rows)
        ).log_softmax(dim=1)
        perturbation = weights[index] * noise.gumbel[index]
        num_kept = counts[index] - counts[index + 1]
        step = unmask(
            log_probs, rows, codes, noise.uniform[index], perturbation, num_kept, transition, weights[index], options
        )
        # Nor may they wait for the next step's: with a large codebook they are most of a rollout's memory.
        del log_probs
        codes = torch.where(step.is_newly_unmasked, step.drawn, codes)
        yield step


def starting_codes(policy: Policy, num_rollouts: int, start: Tensor | None) -> tuple[Tensor, int]:
    """Gives the (B, N) codes before the first step and how many are masked in each row; see `rollout`."""
    shape = (num_rollouts, policy.num_image_tokens)
    if start is None:
        return torch.full(shape, policy.codebook_size, device=policy.device), policy.num_image_tokens
    if start.shape != shape:
        raise ValueError(
            f"the codes to start from are {tuple(start.shape)}, but {shape} rollouts and tokens are wanted"
        )
    num_masked = (start == policy.codebook_size).sum(dim=1).unique().tolist()
    if len(num_masked) != 1:
        raise ValueError(f"the rows have {num_masked} masked tokens: put rows of equal counts into one batch")
    return start.to(policy.device), num_masked[0]


def first_logits(policy: Policy, distinct: GuidedPrefix, places: Tensor) -> Tensor:
    """Gives the logits of the first step once for each prompt: all of a group's rollouts begin with the same state.

    Args:
        policy: the model.
        distinct: the D distinct prompts.
        places: (B,) int64 in [0, D).

    Returns:
        (B * N, K) float32.
    """
    num_tokens = policy.num_image_tokens
    codes = torch.full((distinct.num_rollouts, num_tokens), policy.codebook_size, device=places.device)
    logits = distinct.code_logits(policy, codes, torch.arange(codes.numel(), device=places.device))
    return logits.unflatten(0, codes.shape)[places].flatten(0, 1)


def draw_noise(seeds: Sequence[int], num_steps: int, num_tokens: int, device: torch.device) -> Noise:
    """Draws the noise of every sample from a generator of its own.

    Args:
        seeds: B seeds, in [0, 2**63).
        num_steps: T.
        num_tokens: N.
        device: where the noise goes; it is drawn on the CPU, so that every device gets the same.

    Returns:
        Noise of shape (T, B, N).
    """
    samples = [torch.rand(2, num_steps, num_tokens, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    uniform, second = torch.stack(samples, dim=2).to(device).unbind()
    tiny = torch.finfo(torch.float32).tiny
    return Noise(uniform=uniform, gumbel=-(-second.clamp(min=tiny).log()).log())


def masked_rows(is_masked: Tensor, num_masked: int) -> Tensor:
    """Gives the flat places of the masked positions, without a question to the device.

    Args:
        is_masked: (B, N) bool with exactly `num_masked` True in every row.
        num_masked: U.

    Returns:
        (B * U,) int64, ascending.
    """
    positions = is_masked.byte().argsort(dim=1, descending=True, stable=True)[:, :num_masked]
    starts = torch.arange(is_masked.shape[0], device=is_masked.device) * is_masked.shape[1]
    return (positions + starts[:, None]).flatten()


def draw_codes(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Draws a code from each row by inverse distribution function: first the block, then the code within it.

    In two steps only a block's worth of each row is cumulated one by one, at half the cost of the whole row.

    Args:
        probabilities: (R, K) float32, each row summing to about 1.
        uniform: (R,) float32 in [0, 1).

    Returns:
        (R,) int64 in [0, K).
    """
    num_codes = probabilities.shape[1]
    width = _BLOCK if num_codes % _BLOCK == 0 else num_codes
    blocks = probabilities.unflatten(1, (-1, width))
    cumulated = blocks.sum(dim=2).cumsum(dim=1)
    target = uniform[:, None] * cumulated[:, -1:]
    block = torch.searchsorted(cumulated, target, right=True).clamp(max=cumulated.shape[1] - 1)
    before = F.pad(cumulated, (1, 0)).gather(1, block)
    within = blocks.gather(1, block[:, :, None].expand(-1, 1, width)).squeeze(1).cumsum(dim=1)
    place = torch.searchsorted(within, target - before, right=True).clamp(max=width - 1)
    return (block * width + place).squeeze(1)


def unmask(
    log_probs: Tensor,
    rows: Tensor,
    codes: Tensor,
    uniform: Tensor,
    perturbation: Tensor,
    num_kept: int,
    transition: TransitionDefinition,
    temperature: float = 0.0,
    options: TermOptions = EXACT,
) -> UnmaskingStep:
    """Makes one unmasking step: draws a code everywhere, keeps the most confident ones.

    The confidence is the probability of the drawn code; the choice is by log-confidence plus perturbation, and the
    lower position wins a tie.

    Args:
        log_probs: (B * U, K) float32 log-softmax of the masked positions.
        rows: (B * U,) int64, their flat places in B * N, ascending, U in each picture.
        codes: (B, N) int64 in [0, K], K where masked.
        uniform: (B, N) float32 in [0, 1).
        perturbation: (B, N) float32, temperature times Gumbel noise.
        num_kept: n_t, 1 to U.
        transition: the definition of the recorded log-probs.
        temperature: that of the perturbation; read by definitions with a selection term.
        options: what modifies the definition.

    Returns:
        The step.
    """
    probabilities = log_probs.exp()
    drawn_codes = draw_codes(probabilities, uniform.flatten()[rows])
    log_confidence = log_probs.gather(1, drawn_codes[:, None]).squeeze(1)
    score = (log_confidence + perturbation.flatten()[rows]).view(codes.shape[0], -1)
    best = score.sort(dim=1, descending=True, stable=True).indices[:, :num_kept]
    kept_rows = rows.view(score.shape).gather(1, best)
    drawn = codes.flatten().index_copy(0, rows, drawn_codes).view(codes.shape)
    is_newly_unmasked = torch.zeros_like(codes, dtype=torch.bool).flatten().index_fill(0, kept_rows.flatten(), True)
    is_newly_unmasked = is_newly_unmasked.view(codes.shape)
    places = torch.arange(num_kept, device=codes.device).expand(kept_rows.shape)
    order = torch.zeros_like(codes).flatten().index_copy(0, kept_rows.flatten(), places.flatten()).view(codes.shape)
    choice = Choice(log_probs.new_full((codes.shape[0],), temperature), order)
    terms = transition_terms(log_probs, rows, drawn, is_newly_unmasked, transition, choice, options)
    unknown = log_probs.new_full((codes.numel(),), torch.nan)
    entropy = -(probabilities * log_probs).sum(dim=1)
    return UnmaskingStep(
        drawn=drawn,
        is_masked=torch.zeros_like(is_newly_unmasked).flatten().index_fill(0, rows, True).view(codes.shape),
        is_newly_unmasked=is_newly_unmasked,
        order=order,
        confidence=unknown.index_copy(0, rows, log_confidence.exp()).view(codes.shape),
        entropy=unknown.index_copy(0, rows, entropy).view(codes.shape),
        log_prob=terms.sum(dim=1),
        token_log_prob=terms,
    )
