"""Reads of runs, their events and their metrics, in keyset order."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from backend.models import CheckpointRow, EventRow, MetricRow, RunRow


def list_runs(
    session: Session,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    statuses: Collection[str] = (),
    kinds: Collection[str] = (),
    tag: str | None = None,
    search: str | None = None,
) -> Sequence[RunRow]:
    """Runs from the newest on, beginning after the given place."""
    query = select(RunRow).order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(RunRow.created_at, RunRow.id) < after)
    if statuses:
        query = query.where(RunRow.status.in_(statuses))
    if kinds:
        query = query.where(RunRow.kind.in_(kinds))
    if tag is not None:
        query = query.where(RunRow.tags.contains([tag]))
    if search:
        query = query.where(RunRow.name.icontains(search, autoescape=True) | RunRow.tags.contains([search]))
    return session.scalars(query).all()


def list_events(session: Session, *, run_id: UUID, after: int, limit: int) -> Sequence[EventRow]:
    """Events with a sequence number above `after`, in order."""
    query = select(EventRow).where(EventRow.run_id == run_id, EventRow.seq > after).order_by(EventRow.seq).limit(limit)
    return session.scalars(query).all()


def newest_event(session: Session, *, run_id: UUID, kind: str) -> EventRow | None:
    """The run's last event of a type."""
    query = select(EventRow).where(EventRow.run_id == run_id, EventRow.body["type"].astext == kind)
    return session.scalars(query.order_by(EventRow.seq.desc()).limit(1)).one_or_none()


def alarms_of(session: Session, *, run_id: UUID) -> Sequence[EventRow]:
    """All alarms of a run, in order."""
    query = select(EventRow).where(EventRow.run_id == run_id, EventRow.body["type"].astext == "alarm")
    return session.scalars(query.order_by(EventRow.seq)).all()


def heads_of(session: Session, *, run_ids: Collection[UUID]) -> dict[UUID, int]:
    """The last event's number of each of these runs."""
    query = select(RunRow.id, RunRow.num_events).where(RunRow.id.in_(run_ids))
    return dict(session.execute(query).all())


def list_metrics(
    session: Session, *, run_id: UUID, after_step: int, max_points: int, keys: Collection[str] = ()
) -> tuple[Sequence[tuple[int, dict[str, Any]]], bool]:
    """Steps after `after_step`, thinned evenly to `max_points` with the newest kept, and whether any is missing.

    With `keys` only the steps that have one of them: what is measured every tenth step is then thinned by itself.
    """
    is_asked = [MetricRow.run_id == run_id, MetricRow.step > after_step]
    if keys:
        is_asked.append(MetricRow.values.has_any(array(keys)))
    num_steps = session.scalar(select(func.count()).select_from(MetricRow).where(*is_asked)) or 0
    stride = math.ceil(num_steps / max_points) or 1
    # Counted back from the newest step, so that the last point of a curve is always the truth of now.
    numbered = (
        select(MetricRow.step, MetricRow.values, func.row_number().over(order_by=MetricRow.step.desc()).label("place"))
        .where(*is_asked)
        .subquery()
    )
    query = (
        select(numbered.c.step, numbered.c["values"])
        .where((numbered.c.place - 1) % stride == 0)
        .order_by(numbered.c.step)
    )
    return session.execute(query).all(), stride > 1


def list_checkpoints(
    session: Session, *, run_id: UUID, limit: int, before_step: int | None = None
) -> Sequence[CheckpointRow]:
    """The checkpoints that lie on disk, the newest first."""
    query = select(CheckpointRow).where(CheckpointRow.run_id == run_id)
    if before_step is not None:
        query = query.where(CheckpointRow.step < before_step)
    return session.scalars(query.order_by(CheckpointRow.step.desc()).limit(limit)).all()


def count_by_status(session: Session) -> dict[str, int]:
    """How many runs stand where."""
    query = select(RunRow.status, func.count()).group_by(RunRow.status)
    return dict(session.execute(query).all())
