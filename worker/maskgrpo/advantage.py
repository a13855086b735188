"""Rewards to advantages, within each group."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.schemas.objective import AdvantageKind


class RewardNotFiniteError(ValueError):
    """A reward is NaN or infinite: training on it would spoil the policy without a word."""


def group_advantages(rewards: Tensor, epsilon: float, kind: AdvantageKind = AdvantageKind.Z_SCORE) -> Tensor:
    """Compares the rollouts of each prompt with each other.

        z_score:    A = (R - mean R) / (std R + epsilon)          (Mask-GRPO, Eq. 10)
        win_rate:   the same of the win rates instead of R        (Pref-GRPO, arXiv 2508.20751)
        mean_only:  A = R - mean R                                (Dr. GRPO, arXiv 2503.20783)

    Args:
        rewards: (P, G) float32, finite: P prompts, G rollouts of each, G at least 2.
        epsilon: added to the group's std; not read by `mean_only`.
        kind: which of the three.

    Returns:
        (P, G) float32, each row of mean 0; exactly 0 in a group whose rewards are all equal.
    """
    values = win_rates(rewards) if kind is AdvantageKind.WIN_RATE else rewards
    advantages = values - values.mean(dim=1, keepdim=True)
    if kind is not AdvantageKind.MEAN_ONLY:
        advantages = advantages / (group_std(values)[:, None] + epsilon)
    # The mean of equal numbers can be off by a rounding, which a small epsilon would blow up.
    return advantages.masked_fill(_is_flat(rewards)[:, None], 0.0)


def win_rates(rewards: Tensor) -> Tensor:
    """Gives the share of the group's other rollouts that each one beats; a tie counts half.

    Args:
        rewards: (P, G) float32, G at least 2.

    Returns:
        (P, G) float32 in [0, 1], each row of mean 1/2.
    """
    differences = rewards[:, :, None] - rewards[:, None, :]
    # A rollout's tie with itself is the half that is taken off again.
    wins = (differences.sign() + 1).sum(dim=2) / 2 - 0.5
    return wins / (rewards.shape[1] - 1)


def group_std(rewards: Tensor) -> Tensor:
    """Gives the (P,) population standard deviations of (P, G) rewards, exactly 0 where all are equal."""
    return rewards.std(dim=1, correction=0).masked_fill(_is_flat(rewards), 0.0)


def check_finite(total: Tensor, breakdown: dict[str, Tensor], prompts: list[str]) -> None:
    """Refuses rewards that are not numbers.

    Args:
        total: (B,) rewards.
        breakdown: their parts, (B,) each.
        prompts: B prompts, to be named.

    Raises:
        RewardNotFiniteError: names the first prompt concerned, the part and the value.
    """
    is_bad = ~total.isfinite()
    if not bool(is_bad.any()):
        return
    place = int(is_bad.nonzero()[0])
    parts = ", ".join(f"{name} {float(values[place])}" for name, values in breakdown.items())
    raise RewardNotFiniteError(
        f"the reward of {int(is_bad.sum())} of {len(prompts)} pictures is not a finite number; the first is for "
        f"{prompts[place]!r}: {float(total[place])} ({parts}). Repair that part or take it out of the rewards."
    )


def _is_flat(rewards: Tensor) -> Tensor:
    return rewards.amax(dim=1) == rewards.amin(dim=1)


def within_group_diversity(codes: Tensor) -> Tensor:
    """Gives the share of distinct codes among the G pictures of a group, averaged over positions.

    Args:
        codes: (P, G, N) int64.

    Returns:
        (P,) float32 in [1/G, 1]: 1/G when all pictures of the group are the same.
    """
    ordered = codes.sort(dim=1).values
    num_distinct = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(dim=1)
    return num_distinct.to(torch.float32).mean(dim=1) / codes.shape[1]
