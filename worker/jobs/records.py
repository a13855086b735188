"""Turns tensors and verdicts into the dictionary's records of groups and samples. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from backend.schemas.sample import Condition, FoundObject, GroupRecord, SampleRecord, VerdictRecord
from worker.jobs.pictures import WrittenPictures
from worker.jobs.prompts import task_of
from worker.maskgrpo.types import Group, Rewards
from worker.shapes.verifier import Verdict


@dataclass(frozen=True)
class GroupLabel:
    """What a record says of a group that is no part of training."""

    step: int
    index: int
    prompt: str
    policy: str
    task: str | None = None
    """where it is no caption of the small world, which tells its own"""


def training_group(step: int, index: int, group: Group, written: WrittenPictures) -> GroupRecord:
    """The record of a group that the trainer made."""
    return GroupRecord(
        step=step,
        index=index,
        prompt=group.prompt,
        task=task_of(group.prompt),
        mean_reward=number(group.rewards.total.mean()),
        reward_std=number(group.rewards.total.std(correction=0)),
        is_kept=group.is_kept,
        reason=group.reason,
        num_tries=group.num_tries,
        trajectory_path=written.trajectory_path,
        samples=_samples(group.seeds, group.rewards, group.advantages.tolist(), written),
    )


def shown_group(label: GroupLabel, seeds: Sequence[int], rewards: Rewards, written: WrittenPictures) -> GroupRecord:
    """The record of pictures that were made to be looked at or scored: nothing is trained on them."""
    return GroupRecord(
        step=label.step,
        index=label.index,
        prompt=label.prompt,
        task=label.task or task_of(label.prompt),
        mean_reward=number(rewards.total.mean()),
        reward_std=number(rewards.total.std(correction=0)),
        is_kept=True,
        reason="made to be looked at, not to train on",
        policy=label.policy,
        trajectory_path=written.trajectory_path,
        samples=_samples(seeds, rewards, [None] * len(seeds), written),
    )


def verdict_record(verdict: Verdict) -> VerdictRecord:
    """The verifier's verdict as the dictionary writes it."""
    return VerdictRecord(
        is_correct=verdict.is_correct,
        is_strict=verdict.is_strict,
        dense=verdict.dense,
        conditions=tuple(Condition(text=each.text, is_satisfied=each.is_satisfied) for each in verdict.conditions),
        found=tuple(
            FoundObject(
                shape=each.shape or "malformed",
                colour=each.colour,
                box=tuple(float(side) for side in each.box),
                confidence=each.confidence,
            )
            for each in verdict.found
        ),
    )


def _verdict_of(detail: object) -> VerdictRecord | None:
    """The verdict as the dictionary writes it, whether the small world's verifier gave it or a benchmark."""
    if isinstance(detail, VerdictRecord):
        return detail
    return verdict_record(detail) if isinstance(detail, Verdict) else None


def number(value: float | Tensor) -> float | None:
    """The number, or None where it is NaN or infinite."""
    plain = float(value)
    return plain if math.isfinite(plain) else None


def _samples(
    seeds: Sequence[int], rewards: Rewards, advantages: Sequence[float | None], written: WrittenPictures
) -> tuple[SampleRecord, ...]:
    records = []
    for index, seed in enumerate(seeds):
        advantage = advantages[index]
        detail = rewards.details[index] if rewards.details else None
        records.append(
            SampleRecord(
                index=index,
                seed=seed,
                reward=number(rewards.total[index]),
                reward_breakdown={name: number(part[index]) for name, part in rewards.breakdown.items()},
                advantage=None if advantage is None else number(advantage),
                image_path=written.image_paths[index],
                image_sha256=written.image_hashes[index],
                verdict=_verdict_of(detail),
            )
        )
    return tuple(records)
