"""Runs come into being, are edited, and wait for a message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.models import RunRow
from backend.runs.repository.rows import insert_event, set_values, tell_status
from backend.schemas.event import Alarm
from backend.schemas.every_run import BaseRunConfig
from backend.schemas.run import RunStatus


def create_run(
    session: Session,
    *,
    config: BaseRunConfig,
    kind: str,
    name: str,
    recipe: str | None = None,
    tags: tuple[str, ...] = (),
    parent_run_id: UUID | None = None,
    alarms: Sequence[Alarm] = (),
) -> RunRow:
    """A queued run and its first events. Sending the message is the caller's matter, after the commit."""
    row = RunRow(
        kind=kind,
        name=name,
        config=config.model_dump(mode="json"),
        recipe=recipe,
        tags=list(tags),
        parent_run_id=parent_run_id,
    )
    session.add(row)
    session.flush()
    tell_status(session, row.id, RunStatus.QUEUED, "created")
    for alarm in alarms:
        insert_event(session, set_values(session, row.id, num_events=RunRow.num_events + 1), alarm)
    session.refresh(row)
    return row


def list_unsent(session: Session, *, resend_seconds: float = 120.0) -> list[UUID]:
    """Queued runs whose message never reached the broker, or so long ago that it may be lost."""
    old = func.now() - timedelta(seconds=resend_seconds)
    is_due = RunRow.sent_at.is_(None) | (RunRow.sent_at < old)
    query = select(RunRow.id).where(RunRow.status == RunStatus.QUEUED, is_due).order_by(RunRow.created_at)
    return list(session.scalars(query))


def mark_sent(session: Session, *, run_id: UUID) -> None:
    """Notes that a message for the run has reached the broker."""
    session.execute(update(RunRow).where(RunRow.id == run_id).values(sent_at=func.now()))
