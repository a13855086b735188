"""What a job is: a generator that yields events and is sent what was asked of its run."""

from __future__ import annotations

from collections.abc import Generator

from backend.schemas.event import Body
from backend.schemas.run import RequestFlags, RunStatus

# It is sent the flags once its event is recorded, and returns the outcome: succeeded, paused or cancelled.
Job = Generator[Body, RequestFlags, RunStatus]

# A part of a job: it passes the newest flags on to what follows it.
JobPart = Generator[Body, RequestFlags, RequestFlags]


def outcome_of(flags: RequestFlags) -> RunStatus | None:
    """How a job must end that is asked to stop; None when it may go on. A cancel beats a pause."""
    if flags.is_cancel_requested:
        return RunStatus.CANCELLED
    return RunStatus.PAUSED if flags.is_pause_requested else None
