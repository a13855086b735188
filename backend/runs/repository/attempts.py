"""What a worker's attempt may do: claim, hold, tell events, end; and what becomes of lost attempts.

An attempt's write is fenced: it raises LeaseLostError unless the run is running under that very attempt, and it holds
the run's row until the commit, so whatever else the same transaction writes for the run is fenced as well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.models import RunRow
from backend.runs.repository.rows import insert_event, set_fenced, set_values, stop_run, tell_status
from backend.schemas.event import Body
from backend.schemas.run import RequestFlags, RunStatus

MAX_LOST_ATTEMPTS = 5


def claim(session: Session, *, run_id: UUID, worker: str, lease_seconds: float) -> RunRow | None:
    """Takes a run that is queued, or running with an expired lease; None when somebody else has it or it is over."""
    row = session.get(RunRow, run_id, populate_existing=True, with_for_update=True)
    if row is None:
        return None
    if row.status == RunStatus.RUNNING and _is_expired(session, run_id):
        row = _lose(session, row)
    if row.status != RunStatus.QUEUED:
        return None
    claimed = set_values(
        session,
        run_id,
        status=RunStatus.RUNNING.value,
        attempt=RunRow.attempt + 1,
        worker=worker,
        lease_expires_at=func.clock_timestamp() + timedelta(seconds=lease_seconds),
        started_at=func.coalesce(RunRow.started_at, func.now()),
    )
    return tell_status(session, run_id, RunStatus.RUNNING, f"attempt {claimed.attempt} on {worker}")


def renew_lease(session: Session, *, run_id: UUID, attempt: int, lease_seconds: float) -> RequestFlags:
    """The heartbeat: holds the run longer and says what was asked of it; LeaseLostError when it is no longer ours."""
    lease = func.clock_timestamp() + timedelta(seconds=lease_seconds)
    return set_fenced(session, run_id, attempt, lease_expires_at=lease).flags


def append_event(session: Session, *, run_id: UUID, attempt: int, body: Body) -> int:
    """Stores an event of an attempt and gives its sequence number, without gaps. Groups are left to the samples."""
    row = set_fenced(session, run_id, attempt, num_events=RunRow.num_events + 1)
    insert_event(session, row, body)
    return row.num_events


def clear_requests(
    session: Session, *, run_id: UUID, attempt: int, is_save: bool = False, is_sample: bool = False
) -> None:
    """Takes back the wishes that were just fulfilled."""
    values: dict[str, Any] = {}
    if is_save:
        values["is_save_requested"] = False
    if is_sample:
        values["is_sample_requested"] = False
    set_fenced(session, run_id, attempt, **values)


def finish(
    session: Session, *, run_id: UUID, attempt: int, status: RunStatus, error: str | None = None, reason: str = ""
) -> RunRow:
    """Ends an attempt: the run is paused or has reached a final state.

    A cancel that came meanwhile beats a pause, and a pause that a person took back meanwhile queues the run again.
    """
    assert status.is_terminal or status is RunStatus.PAUSED, status
    row = set_fenced(session, run_id, attempt)
    if status is RunStatus.PAUSED and row.is_cancel_requested:
        status = RunStatus.CANCELLED
    elif status is RunStatus.PAUSED and not row.is_pause_requested:
        return _queue_again(session, run_id, "resumed while it paused")
    return stop_run(session, run_id, status, reason=reason or error or "", error=error)


def release(session: Session, *, run_id: UUID, attempt: int, reason: str) -> RunRow:
    """Gives a run back that its worker cannot go on with; whoever claims it next goes on from its checkpoint."""
    row = set_fenced(session, run_id, attempt)
    if row.is_cancel_requested:
        return stop_run(session, run_id, RunStatus.CANCELLED, reason=reason)
    if row.is_pause_requested:
        return stop_run(session, run_id, RunStatus.PAUSED, reason=reason)
    return _queue_again(session, run_id, reason)


def lose(session: Session, *, run_id: UUID, attempt: int, last_words: str = "") -> RunRow:
    """What a worker does whose job was killed from outside: the run is queued again, unless that happens too often."""
    return _lose(session, set_fenced(session, run_id, attempt), last_words)


def requeue_lost(session: Session) -> list[UUID]:
    """Queues the runs whose workers fell silent, or ends those that keep losing them; gives the ids to send again."""
    lost = session.scalars(
        select(RunRow)
        .where(RunRow.status == RunStatus.RUNNING, RunRow.lease_expires_at < func.clock_timestamp())
        .with_for_update(skip_locked=True)
    ).all()
    rows = [_lose(session, row) for row in lost]
    return [row.id for row in rows if row.status == RunStatus.QUEUED]


def _is_expired(session: Session, run_id: UUID) -> bool:
    query = select(RunRow.lease_expires_at < func.clock_timestamp()).where(RunRow.id == run_id)
    return bool(session.scalar(query))


def _lose(session: Session, row: RunRow, last_words: str = "") -> RunRow:
    """What becomes of a run whose attempt fell silent, in this order: cancelled, failed, paused, queued."""
    what = f"attempt {row.attempt} on {row.worker} was lost at step {row.step}"
    if last_words:
        what = f"{what}: {last_words}"
    num_lost = row.num_lost + 1
    set_values(session, row.id, num_lost=num_lost)
    if row.is_cancel_requested:
        return stop_run(session, row.id, RunStatus.CANCELLED, reason=f"{what}; it had been asked to cancel")
    if num_lost >= MAX_LOST_ATTEMPTS:
        error = (
            f"{num_lost} attempts in a row were lost without getting beyond step {row.best_step}: their workers died "
            "or were killed, often for want of memory. Look at the log, lower the batch sizes, and clone the run"
        )
        return stop_run(session, row.id, RunStatus.FAILED, reason=what, error=error)
    if row.is_pause_requested:
        return stop_run(session, row.id, RunStatus.PAUSED, reason=f"{what}; it had been asked to pause")
    return _queue_again(session, row.id, what)


def _queue_again(session: Session, run_id: UUID, reason: str) -> RunRow:
    set_values(session, run_id, status=RunStatus.QUEUED.value, lease_expires_at=None, worker=None, sent_at=None)
    return tell_status(session, run_id, RunStatus.QUEUED, reason)
