"""A training step in numbers: the metrics by name, and the credit by unmasking step. docs/algorithm.md lists them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from worker.maskgrpo.advantage import group_std, within_group_diversity
from worker.maskgrpo.collection import Collection
from worker.maskgrpo.types import Group
from worker.maskgrpo.update import PassReport

_OF_AN_UPDATE = ("loss", "kl", "ratio/mean", "ratio/clipped_share", "gradient_norm", "log_prob", "log_prob_gap")


def collection_metrics(collection: Collection) -> dict[str, float]:
    """Metrics of the rollouts. Rewards, entropy and diversity are those of the first tries: the policy, unfiltered."""
    first = collection.first_groups
    rewards = torch.stack([group.rewards.total for group in first])
    codes = torch.stack([group.trajectory.codes for group in first])
    advantages = torch.cat([group.advantages for group in collection.groups])
    num_rollouts = len(rewards.flatten())
    num_resampled = collection.num_rollouts - num_rollouts
    seconds = collection.seconds_rollout + collection.seconds_reward
    return {
        "reward/mean": float(rewards.mean()),
        "reward/std_within": float(group_std(rewards).mean()),
        "reward/std_between": float(rewards.mean(dim=1).std(correction=0)),
        **{f"reward/{name}": value for name, value in _means_of_parts(first).items()},
        "advantage/std": float(advantages.std(correction=0)),
        "entropy": mean_entropy(first),
        "diversity": float(within_group_diversity(codes).mean()),
        "filter/rate": 1 - len(collection.kept) / len(collection.groups),
        "filter/threshold": collection.threshold,
        "filter/resampled_share": num_resampled / num_rollouts,
        "groups/kept": float(len(collection.kept)),
        "throughput/samples_per_second": collection.num_rollouts / seconds,
        "seconds/rollout": collection.seconds_rollout,
        "seconds/reward": collection.seconds_reward,
    }


def update_metrics(reports: Sequence[PassReport]) -> dict[str, float]:
    """Metrics of the last pass over the rollout, and the largest gradient norm of all; NaN without a pass."""
    if not reports:
        return dict.fromkeys(_OF_AN_UPDATE, math.nan)
    last = reports[-1]
    norms = [report.gradient_norm for report in reports]
    return {
        "loss": last.loss,
        "kl": float(last.metrics.kl.mean()),
        "ratio/mean": float(last.metrics.ratio.mean()),
        "ratio/clipped_share": float(last.metrics.clipped_share.mean()),
        "gradient_norm": math.nan if any(math.isnan(norm) for norm in norms) else max(norms),
        "log_prob": float(last.metrics.log_prob.mean()),
        "log_prob_gap": float(reports[0].metrics.recorded_gap.mean()),
    }


def credit_by_step(reports: Sequence[PassReport], num_steps: int) -> dict[str, tuple[float, ...]]:
    """Which unmasking steps carry the gradient: means of the last pass by step, NaN where a step was not in the loss.

    Args:
        reports: of the passes over the rollout, or none.
        num_steps: T.

    Returns:
        ratio, clipped_share, kl, log_prob and gradient_share, T numbers each. The gradient share is the step's part of
        the squared gradient at the logits, over all passes; it sums to 1 unless there is no gradient.
    """
    names = ("ratio", "clipped_share", "kl", "log_prob", "gradient_share")
    if not reports:
        return dict.fromkeys(names, (math.nan,) * num_steps)
    last = reports[-1]
    credit = {name: _mean_by_step(getattr(last.metrics, name), last.step, num_steps) for name in names[:4]}
    squares = torch.zeros(num_steps, dtype=torch.float64)
    for report in reports:
        squares.index_add_(0, report.step.cpu(), report.gradient_square.double().cpu())
    credit["gradient_share"] = squares / squares.sum()
    return {name: tuple(values.tolist()) for name, values in credit.items()}


def mean_entropy(groups: Sequence[Group]) -> float:
    """Mean entropy in nats of the distributions at masked positions, over all steps of all rollouts."""
    return float(torch.stack([group.trajectory.entropy for group in groups]).nanmean())


def _means_of_parts(groups: Sequence[Group]) -> dict[str, float]:
    names = groups[0].rewards.breakdown
    return {name: float(torch.cat([group.rewards.breakdown[name] for group in groups]).mean()) for name in names}


def _mean_by_step(values: Tensor, step: Tensor, num_steps: int) -> Tensor:
    sums = torch.zeros(num_steps, dtype=torch.float64).index_add_(0, step.cpu(), values.double().cpu())
    return sums / torch.bincount(step.cpu(), minlength=num_steps)
