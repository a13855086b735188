"""The forward-process loss: the finished picture is the action, its random re-maskings are the states.

After UDM-GRPO (arXiv 2604.18518) and MaskGRPO (arXiv 2510.02880). It needs no trajectory, so any sampler may make the
rollout, guidance too; the loss itself is that of the policy without guidance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from backend.schemas.algorithm import TransitionDefinition
from backend.schemas.config import TrainConfig
from backend.schemas.objective import ForwardProcessConfig, MaskRatioSchedule
from worker.maskgrpo.replay import Transitions
from worker.maskgrpo.schedule import masked_counts
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Group

DEFINITION = TransitionDefinition.AUTOREGRESSIVE
"""On a re-masking the action's log-prob is the sum over all masked positions, as the autoregressive one's."""


def remasked_states(groups: Sequence[Group], config: TrainConfig, mask_code: int) -> Transitions:
    """Re-masks every rollout's picture at random, several times.

    The masks follow from the rollout's own seed, so they are the same in every epoch, for the old policy, the new one
    and the reference, whatever else is in the batch.

    Args:
        groups: the kept groups, at least one.
        config: the run's.
        mask_code: K.

    Returns:
        B * M transitions for M re-maskings, a rollout's side by side: all masked positions are to be filled at once.
        Their old terms are 0, see `update.optimize`; their unmasking step is the first with no more masked
        positions, or the last.
    """
    settings = config.grpo.forward_process
    codes = torch.cat([group.trajectory.codes for group in groups]).repeat_interleave(settings.num_remaskings, dim=0)
    num_tokens = codes.shape[1]
    seeds = [derived_seed(seed, "re-masking") for group in groups for seed in group.seeds]
    is_masked = torch.cat([_masks(settings, num_tokens, seed) for seed in seeds]).to(codes.device)
    sampling = config.sampling
    by_step = masked_counts(num_tokens, sampling.num_unmasking_steps, sampling.mask_schedule)
    counts = torch.tensor(by_step[:-1], device=codes.device)
    step = (counts > is_masked.sum(dim=1, keepdim=True)).sum(dim=1).clamp(max=len(counts) - 1)
    prompts = [group.prompt for group in groups for _ in range(len(group.seeds) * settings.num_remaskings)]
    advantages = torch.cat([group.advantages for group in groups]).to(codes.device)
    return Transitions(
        prompts=tuple(prompts),
        codes=codes.masked_fill(is_masked, mask_code),
        drawn=codes,
        is_newly_unmasked=is_masked,
        has_term=is_masked,
        is_read=is_masked,
        old_terms=torch.zeros(codes.shape, device=codes.device),
        step=step,
        advantages=advantages.repeat_interleave(settings.num_remaskings),
        order=torch.zeros_like(codes),
        temperature=torch.zeros(len(codes), device=codes.device),
    )


def mask_ratios(settings: ForwardProcessConfig, generator: torch.Generator) -> Tensor:
    """Gives the mask ratios of a picture's re-maskings.

        even:    g + (1 - g) j / M, j = 1 .. M         (MaskGRPO, its algorithm 5)
        uniform: g + (1 - g) u
        cosine:  cos(pi/2 u (2/pi arccos g)), the ratios of pre-training that are at least g

    with g the least ratio and u uniform in [0, 1).

    Args:
        settings: M, g and the schedule.
        generator: a CPU generator; not read by `even`.

    Returns:
        (M,) float32 in [g, 1].
    """
    least, number = settings.least_mask_ratio, settings.num_remaskings
    if settings.schedule is MaskRatioSchedule.EVEN:
        return least + (1 - least) * torch.arange(1, number + 1) / number
    uniform = torch.rand(number, generator=generator)
    if settings.schedule is MaskRatioSchedule.UNIFORM:
        return least + (1 - least) * uniform
    return (uniform * math.acos(least)).cos()


def _masks(settings: ForwardProcessConfig, num_tokens: int, seed: int) -> Tensor:
    """Gives (M, N) bool masks of a picture, each with the share of its ratio, rounded up: at least one position."""
    generator = torch.Generator().manual_seed(seed)
    ratios = mask_ratios(settings, generator)
    counts = (ratios * num_tokens - 1e-4).ceil().clamp(1, num_tokens)
    ranks = torch.rand(settings.num_remaskings, num_tokens, generator=generator).argsort(dim=1).argsort(dim=1)
    return ranks < counts[:, None]
