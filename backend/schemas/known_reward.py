"""The dictionary's rewards as people choose among them: what each needs, whether it is here, and the learned ones."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from backend.schemas.base import Timestamp, WireModel
from backend.schemas.reward import RewardName
from backend.schemas.reward_report import RewardModelReport
from backend.schemas.run import RunStatus


class Availability(StrEnum):
    """Whether a run could use a reward now, as far as this machine can tell."""

    HERE = "here"  # Needs nothing more.
    MISSING = "missing"  # Its published weights are not in this machine's cache; a source of one's own may be.
    BY_SOURCE = "by_source"  # Depends on what its source names.


class KnownReward(WireModel):
    """A reward by name."""

    name: RewardName
    rewards: str = Field(description="What it rewards")
    needs: str = Field(description="Weights or services, and where to get them; empty = none")
    source: str = Field(description="What `source` may be left at; empty = it must be given, or there is none")
    version: str = Field(description="Of the weights or of the program that is here; empty = not here")
    availability: Availability


class RewardLineage(WireModel):
    """Where a reward model comes from, and what was trained on it."""

    pair_set: str = Field(description="SHA-256")
    pair_set_name: str | None = Field(description="Null where the set is no longer here")
    pair_set_source: dict[str, Any] = Field(description="A label task with its guideline, or an imported file")
    label_task_id: UUID | None = Field(description="Whose votes were frozen; null = imported pairs")
    base: str
    used_by: tuple[UUID, ...] = Field(description="Runs that train on it, the newest first, at most 100")


class RewardModel(WireModel):
    """A reward model in training or finished: the run that makes it, and its report."""

    run_id: UUID
    name: str
    status: RunStatus
    source: str = Field(description="What goes into `rewards[].source` of a configuration, with the name learned")
    created_at: Timestamp
    report: RewardModelReport | None = Field(description="Null until the run has succeeded")
    refusal: str | None = Field(description="Why no run may be trained on it; null = a run may")
    lineage: RewardLineage
