"""What every write to a run is made of: columns, fenced columns, an event with the next number, an end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, update
from sqlalchemy.orm import Session

from backend.errors import LeaseLostError, NotFoundError
from backend.models import EventRow, RunRow
from backend.schemas.event import Body, SamplesMade, StatusChanged, StepFinished
from backend.schemas.run import RunStatus


def get_run(session: Session, *, run_id: UUID) -> RunRow:
    """The run's row; NotFoundError when there is none."""
    row = session.get(RunRow, run_id, populate_existing=True)
    if row is None:
        raise NotFoundError(f"there is no run {run_id}: list the runs with GET /api/v1/runs")
    return row


def lock_run(session: Session, *, run_id: UUID) -> RunRow:
    """The run's row, held against every other writer until the transaction ends."""
    row = session.get(RunRow, run_id, populate_existing=True, with_for_update=True)
    if row is None:
        raise NotFoundError(f"there is no run {run_id}: list the runs with GET /api/v1/runs")
    return row


def set_values(session: Session, run_id: UUID, **values: Any) -> RunRow:
    """Writes columns of a run and gives the row as it now is."""
    query = update(RunRow).where(RunRow.id == run_id).values(updated_at=func.clock_timestamp(), **values)
    return session.execute(query.returning(RunRow), execution_options={"populate_existing": True}).scalar_one()


def set_fenced(session: Session, run_id: UUID, attempt: int, **values: Any) -> RunRow:
    """Writes columns of a run that this attempt holds, and holds the row until the commit; LeaseLostError otherwise."""
    query = (
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.attempt == attempt, RunRow.status == RunStatus.RUNNING)
        .values(updated_at=func.clock_timestamp(), **values)
        .returning(RunRow)
    )
    row = session.execute(query, execution_options={"populate_existing": True}).scalar_one_or_none()
    if row is None:
        raise LeaseLostError(f"attempt {attempt} no longer holds run {run_id}")
    return row


def insert_event(session: Session, row: RunRow, body: Body) -> None:
    """Stores the event whose number the row was just given; groups are left to the samples' rows."""
    if isinstance(body, StepFinished | SamplesMade):
        body = body.model_copy(update={"groups": ()})
    session.execute(
        insert(EventRow).values(
            run_id=row.id, seq=row.num_events, attempt=row.attempt, body=body.model_dump(mode="json")
        )
    )


def tell_status(session: Session, run_id: UUID, status: RunStatus, reason: str) -> RunRow:
    """Adds the event of a status that was just set."""
    row = set_values(session, run_id, num_events=RunRow.num_events + 1)
    insert_event(session, row, StatusChanged(status=status, reason=reason))
    return row


def stop_run(session: Session, run_id: UUID, status: RunStatus, *, reason: str, error: str | None = None) -> RunRow:
    """Pauses or ends a run: nobody holds it, nothing is asked of it, and its last event says why."""
    set_values(
        session,
        run_id,
        status=status.value,
        error=error,
        lease_expires_at=None,
        worker=None,
        finished_at=func.clock_timestamp() if status.is_terminal else None,
        is_cancel_requested=False,
        is_pause_requested=False,
        is_save_requested=False,
        is_sample_requested=False,
    )
    return tell_status(session, run_id, status, reason)
