"""The dictionary's events: yielded by jobs, stored by the recorder, streamed by the API, drawn by the pages.

A job yields bodies; the recorder gives each its run, its sequence number without gaps, its attempt and its time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from backend.schemas.base import Number, Timestamp, WireModel
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord


class Severity(StrEnum):
    """How loudly an alarm speaks."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class StatusChanged(WireModel):
    """The run's status changed, and why."""

    type: Literal["status"] = "status"
    status: RunStatus
    reason: str = ""


class JobStarted(WireModel):
    """A job began or resumed; rows after `from_step` belong to a lost attempt and are removed."""

    type: Literal["started"] = "started"
    from_step: int
    num_steps: int
    state_hash: str | None = Field(None, description="Hash of the state that was loaded")
    is_state_equal: bool | None = Field(None, description="Whether it equals the hash written with the checkpoint")
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = "cpu"


class StepFinished(WireModel):
    """One step: its metrics and its groups. One transaction."""

    type: Literal["step"] = "step"
    step: int
    num_steps: int
    metrics: dict[str, Number]
    credit: dict[str, list[Number]] = Field(
        default_factory=dict,
        description="By unmasking step: ratio, clipped share, KL, log-prob, gradient share",
    )
    groups: tuple[GroupRecord, ...] = Field((), description="Left out of what is streamed: fetch /groups?step=")
    seconds: float = Field(description="Wall time of the step")
    standing: tuple[str, ...] | None = Field(
        None, description="The alarms that stand after the step, by `code subject`; null where it was not told"
    )


class CheckpointSaved(WireModel):
    """A checkpoint lies whole on disk."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    sha256: str
    num_bytes: int
    state_hash: str
    path: str = Field(description="Path in the run's folder")
    deleted_steps: tuple[int, ...] = Field((), description="Checkpoints that retention removed")


class SamplesMade(WireModel):
    """Pictures that are no part of training: sample-now, probes, sample runs, evaluations."""

    type: Literal["samples"] = "samples"
    step: int
    purpose: Literal["sample_now", "probe", "sample", "evaluate"]
    groups: tuple[GroupRecord, ...]
    num_done: int
    num_total: int


class ScoreMeasured(WireModel):
    """A benchmark's figures, with intervals where they were computed."""

    type: Literal["score"] = "score"
    step: int
    benchmark: str = "mini-geneval"
    policy: str
    values: dict[str, Number]
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    num_prompts: int
    samples_per_prompt: int
    notes: dict[str, str] = Field(
        default_factory=dict, description="By figure, what it was measured with, as the features of FID"
    )


# What a run may be warned of. An alarm with another code could not be told, and would end its run.
AlarmCode = Literal[
    "zero_reward_spread",
    "zero_gradient",
    "exploding_gradient",
    "not_a_number",
    "entropy_collapse",
    "everything_filtered",
    "noisy_candidate_1",
    "saturated_ratio",
    "setting_without_effect",
    "unread_words",
    "unseen_folder",
    "unproven_reward",
    "reward_divergence",
    "heldout_regression",
    "diversity_collapse",
    "near_duplicates",
    "far_from_reference",
    "dominant_reward",
]


class Alarm(WireModel):
    """Something a person should look at: what happened, to what, and what to do."""

    type: Literal["alarm"] = "alarm"
    code: AlarmCode
    severity: Severity
    message: str
    cure: str
    step: int
    subject: str = Field("", description="Which one, where several of a code may stand at once: a reward, say")

    @property
    def key(self) -> str:
        """By which a step names the alarms that stand."""
        return f"{self.code} {self.subject}".strip()


class Log(WireModel):
    """A line for the run's log."""

    type: Literal["log"] = "log"
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: str


Body = StatusChanged | JobStarted | StepFinished | CheckpointSaved | SamplesMade | ScoreMeasured | Alarm | Log
EventBody = Annotated[Body, Field(discriminator="type")]
event_body_adapter: TypeAdapter[Body] = TypeAdapter(EventBody)


class Event(WireModel):
    """An event as it is stored and streamed: `seq` counts from 1 without gaps within a run."""

    run_id: UUID
    seq: int
    attempt: int
    created_at: Timestamp
    body: EventBody
