"""What people do to a run: edit its name, cancel, pause, resume, save now, sample now. What is final stays as it is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from backend.errors import ConflictError
from backend.models import RunRow
from backend.runs.repository.rows import lock_run, set_values, stop_run, tell_status
from backend.schemas.every_run import RunKind
from backend.schemas.run import RunStatus


def edit_run(session: Session, *, run_id: UUID, name: str, tags: list[str]) -> RunRow:
    """Changes what people call a run."""
    return set_values(session, run_id, name=name, tags=tags, revision=RunRow.revision + 1)


def request_cancel(session: Session, *, run_id: UUID) -> RunRow:
    """Cancels at once what no worker holds; asks the worker otherwise; leaves a finished run as it is."""
    row = lock_run(session, run_id=run_id)
    if row.run_status.is_terminal:
        return row
    if row.status == RunStatus.RUNNING:
        return set_values(session, run_id, is_cancel_requested=True)
    return stop_run(session, run_id, RunStatus.CANCELLED, reason="cancelled before a worker took it up")


def request_pause(session: Session, *, run_id: UUID) -> RunRow:
    """Pauses at once what waits for a worker; asks the worker otherwise; leaves a finished or paused run as it is."""
    row = lock_run(session, run_id=run_id)
    if row.status == RunStatus.RUNNING:
        return set_values(session, run_id, is_pause_requested=True)
    if row.status == RunStatus.QUEUED:
        return stop_run(session, run_id, RunStatus.PAUSED, reason="paused before a worker took it up")
    return row


def resume(session: Session, *, run_id: UUID) -> RunRow:
    """Queues a paused run again, or takes a pause back that no step has honoured yet; a finished run stays as it is."""
    row = lock_run(session, run_id=run_id)
    if row.status == RunStatus.RUNNING:
        return set_values(session, run_id, is_pause_requested=False)
    if row.status != RunStatus.PAUSED:
        return row
    set_values(session, run_id, status=RunStatus.QUEUED.value, is_pause_requested=False, sent_at=None)
    return tell_status(session, run_id, RunStatus.QUEUED, "resumed")


def request_save(session: Session, *, run_id: UUID) -> RunRow:
    """Asks for a checkpoint after the step in hand; a finished run stays as it is.

    Raises:
        ConflictError: when the run is paused, or of a kind that writes no checkpoints.
    """
    kinds = (RunKind.TRAIN, RunKind.PRETRAIN, RunKind.REWARD_MODEL)
    cure = "its last checkpoint was written when it paused"
    return _request_of_live(session, run_id, kinds, "is_save_requested", cure)


def request_sample(session: Session, *, run_id: UUID) -> RunRow:
    """Asks for pictures of the policy after the step in hand; a finished run stays as it is.

    Raises:
        ConflictError: when the run is paused, or of a kind whose policy does not change.
    """
    kinds = (RunKind.TRAIN, RunKind.PRETRAIN)
    return _request_of_live(session, run_id, kinds, "is_sample_requested", "resume it first")


def _request_of_live(session: Session, run_id: UUID, kinds: tuple[RunKind, ...], flag: str, cure: str) -> RunRow:
    row = lock_run(session, run_id=run_id)
    if row.kind not in kinds:
        raise ConflictError(
            f"run {run_id} is of kind {row.kind}: its policy does not change, so there is no checkpoint to write and "
            f"nothing new to sample; only {', '.join(kinds[:-1])} and {kinds[-1]} runs can be asked for that"
        )
    if row.run_status.is_terminal:
        return row
    if row.status == RunStatus.PAUSED:
        raise ConflictError(f"run {run_id} is paused: {cure}")
    return set_values(session, run_id, **{flag: True})
