"""When training needs a person: each alarm is a plain sentence and what to do. It looks at one step's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from backend.schemas.config import TrainConfig
from backend.schemas.effects import settings_without_effect
from backend.schemas.event import AlarmCode
from backend.schemas.objective_effects import risks_of_objective
from worker.maskgrpo.advantage import group_std
from worker.maskgrpo.collection import Collection
from worker.maskgrpo.update import PassReport


class Alarm(NamedTuple):
    """One thing to look at, in the order of `TrainStep.alarms`."""

    code: AlarmCode
    severity: str
    message: str
    cure: str
    subject: str = ""
    """which one, where several alarms of a code may stand at once: a reward, say"""

    @property
    def key(self) -> str:
        """By which it is known whether it stands."""
        return f"{self.code} {self.subject}".strip()


def settings_alarms(config: TrainConfig) -> list[Alarm]:
    """What is odd about the settings themselves; raised once, with the first step."""
    alarms = [
        Alarm("setting_without_effect", "warning", message, "Change the one or the other, or leave it at its default.")
        for message in settings_without_effect(config)
    ]
    for code, message, cure in risks_of_objective(config.grpo, config.sampling):
        alarms.append(Alarm(code, "warning", message, cure))
    return alarms


def step_alarms(
    collection: Collection,
    reports: Sequence[PassReport],
    entropy: float,
    first_entropy: float,
    config: TrainConfig,
) -> list[Alarm]:
    """What is wrong with a step, whether or not it was with the one before.

    Args:
        collection: its groups.
        reports: its passes; none where every group was filtered.
        entropy: the mean over its first rollouts, nats.
        first_entropy: the same of the run's first step.
        config: the run's, for the bounds.

    Returns:
        The alarms, worst first.
    """
    found = [*_gradient_alarms(reports, config), *_reward_alarms(collection)]
    if math.isnan(entropy):
        found.append(_not_a_number("the policy's entropy"))
    elif entropy < config.alarms.entropy_floor * first_entropy:
        message = (
            f"The policy's entropy is {entropy:.3f} nats, under {config.alarms.entropy_floor:g} of the "
            f"{first_entropy:.3f} it began with: its pictures are becoming the same."
        )
        cure = "Go back to an earlier checkpoint; lower the learning rate or give the KL to the reference a weight."
        found.append(Alarm("entropy_collapse", "warning", message, cure))
    return sorted(found, key=lambda alarm: alarm.severity != "error")


def _gradient_alarms(reports: Sequence[PassReport], config: TrainConfig) -> list[Alarm]:
    alarms = []
    for norm in [report.gradient_norm for report in reports]:
        if not math.isfinite(norm):
            alarms.append(_not_a_number("the gradient"))
        elif norm == 0:
            message = "The gradient is exactly zero although groups were kept: nothing was learned in this step."
            cure = "Look at the clipped share: if it is 1, lower the learning rate or the epochs a rollout."
            alarms.append(Alarm("zero_gradient", "error", message, cure))
        elif norm > config.alarms.gradient_norm_ceiling:
            message = (
                f"The gradient norm is {norm:.4g}, above {config.alarms.gradient_norm_ceiling:g}; it was clipped to "
                f"{config.optimizer.max_gradient_norm:g}."
            )
            cure = "Lower the learning rate, or take the mean or token ratio and candidate 2."
            alarms.append(Alarm("exploding_gradient", "warning", message, cure))
    return alarms


def _reward_alarms(collection: Collection) -> list[Alarm]:
    alarms = []
    num_groups = len(collection.groups)
    num_flat = sum(float(group_std(group.rewards.total[None])) == 0 for group in collection.first_groups)
    if num_flat == num_groups:
        values = [float(group.rewards.total[0]) for group in collection.first_groups]
        message = (
            f"In all {num_groups} groups every rollout got the same reward "
            f"(from {min(values):.3g} to {max(values):.3g})."
        )
        cure = "The prompts are too easy or too hard, or the reward is broken: look at it, or take a denser one."
        alarms.append(Alarm("zero_reward_spread", "error", message, cure))
    if not collection.kept:
        message = f"The sample filter left none of {num_groups} groups, so the policy was not changed in this step."
        cure = "Raise the group size or the prompts a step, lower the filter's percentile, or take other prompts."
        alarms.append(Alarm("everything_filtered", "warning", message, cure))
    return alarms


def _not_a_number(what: str) -> Alarm:
    message = f"A value of {what} is not a finite number. The update was skipped and the policy is as it was before."
    cure = "Resume from the last checkpoint with a lower learning rate; if it comes back, look at the policy's weights."
    return Alarm("not_a_number", "error", message, cure, what)
