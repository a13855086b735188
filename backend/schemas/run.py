"""The dictionary's run, what creates one, and what hangs on it: metrics, checkpoints, recipes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.schemas.base import Number, Timestamp, WireModel
from backend.schemas.config import RunConfig
from backend.schemas.every_run import RunKind


class RunStatus(StrEnum):
    """Where a run stands. What was asked of it (cancel, pause) is a flag beside it, never a status."""

    QUEUED = "queued"  # Waits for a worker.
    RUNNING = "running"  # A worker holds its lease.
    PAUSED = "paused"  # Stopped at a checkpoint on request; resumes exactly.
    SUCCEEDED = "succeeded"  # Final: all was done.
    FAILED = "failed"  # Final: `error` says what happened and the cure.
    CANCELLED = "cancelled"  # Final: a person asked for it.

    @property
    def is_terminal(self) -> bool:
        """True for the states that never change again."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


Tag = Annotated[str, Field(min_length=1, max_length=60)]


class RunCreate(WireModel):
    """What launches a run."""

    config: RunConfig
    recipe: str | None = Field(
        None,
        max_length=120,
        description="The recipe the configuration is based on; what differs from it is told by the run",
    )
    tags: tuple[Tag, ...] = Field((), max_length=20)
    parent_run_id: UUID | None = Field(None, description="The run this one was cloned from")


class RunClone(WireModel):
    """What a clone has other than its parent; what is left out is the parent's."""

    config: RunConfig | None = None
    name: str | None = Field(None, min_length=1, max_length=120)
    tags: tuple[Tag, ...] | None = Field(None, max_length=20)


class RunEdit(WireModel):
    """What may be changed of a run; what is left out stays."""

    name: str | None = Field(None, min_length=1, max_length=120)
    tags: tuple[Tag, ...] | None = Field(None, max_length=20)


class RunPreview(WireModel):
    """A configuration as it would run: complete, with its defaults, and what a person should know of it."""

    config: RunConfig
    yaml: str
    warnings: tuple[str, ...] = Field(description="Settings that have no effect, or that are known to fail")


class RequestFlags(WireModel):
    """What was asked of a run and is honoured within one step."""

    is_cancel_requested: bool = False
    is_pause_requested: bool = False
    is_save_requested: bool = False
    is_sample_requested: bool = False


class Run(WireModel):
    """A run as everyone sees it."""

    id: UUID
    kind: RunKind
    name: str
    status: RunStatus
    flags: RequestFlags
    config: RunConfig
    recipe: str | None = Field(description="The recipe that the configuration is based on")
    recipe_changes: tuple[str, ...] | None = Field(
        None,
        description="Settings, by path, that differ from that recipe as it is shipped now; null where it is not",
    )
    tags: tuple[str, ...]
    parent_run_id: UUID | None
    attempt: int = Field(description="The fencing token: grows by one with every claim")
    step: int = Field(description="Steps that are done and recorded")
    num_steps: int = Field(description="Steps in all; 0 = not yet known")
    num_events: int = Field(description="The last event's sequence number")
    error: str | None
    worker: str | None
    latest_metrics: dict[str, Number] = Field(default_factory=dict)
    eta_seconds: Number = None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    lease_expires_at: Timestamp | None


class MetricPoint(WireModel):
    """The metrics of one step."""

    step: int
    values: dict[str, Number]


class MetricSeries(WireModel):
    """A run's metrics, downsampled by the server to at most `max_points` steps."""

    run_id: UUID
    keys: tuple[str, ...]
    last_step: int
    is_downsampled: bool
    points: list[MetricPoint]


class Checkpoint(WireModel):
    """All that resuming needs, at one step."""

    run_id: UUID
    step: int
    attempt: int
    sha256: str
    num_bytes: int
    state_hash: str = Field(description="Hash of parameters and optimizer state; equal after an exact resume")
    created_at: Timestamp


class Recipe(WireModel):
    """A checked configuration that reproduces a result."""

    name: str
    title: str
    description: str
    cost: str
    expected: str
    command: str
    config: RunConfig
    yaml: str


class Worker(WireModel):
    """A worker process that has been heard from lately."""

    name: str
    run_id: UUID | None
    device: str
    num_cores: int
    memory_gib: float
    seen_at: Timestamp


class RunLog(WireModel):
    """A part of a run's log file; `next_offset` is what to ask for next."""

    text: str
    offset: int
    next_offset: int
    num_bytes: int = Field(description="Size of the whole file")


class Version(WireModel):
    """What answers."""

    name: str
    version: str
    api: str
    python: str


class Readiness(WireModel):
    """Whether everything the studio needs is there; what is missing is answered as a problem."""

    is_ready: bool
    checks: dict[str, str]
