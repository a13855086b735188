"""All SQL on what a bundle tells of a run; long lists come row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.models import CheckpointRow, EventRow, GroupRow, MetricRow, SampleRow

_ROWS_AT_ONCE = 200


def events_of(session: Session, *, run_id: UUID) -> Iterator[EventRow]:
    """All events, in order."""
    query = select(EventRow).where(EventRow.run_id == run_id).order_by(EventRow.seq)
    return iter(session.scalars(query.execution_options(yield_per=_ROWS_AT_ONCE)))


def starts_of(session: Session, *, run_id: UUID) -> list[dict[str, Any]]:
    """What each attempt told when it began: versions and device."""
    query = (
        select(EventRow.attempt, EventRow.body)
        .where(EventRow.run_id == run_id, EventRow.body["type"].astext == "started")
        .order_by(EventRow.seq)
    )
    return [
        {"attempt": attempt, **{name: body.get(name) for name in ("from_step", "versions", "device")}}
        for attempt, body in session.execute(query)
    ]


def metrics_of(session: Session, *, run_id: UUID) -> Iterator[MetricRow]:
    """The metrics of all steps, in order."""
    query = select(MetricRow).where(MetricRow.run_id == run_id).order_by(MetricRow.step)
    return iter(session.scalars(query.execution_options(yield_per=_ROWS_AT_ONCE)))


def checkpoints_of(session: Session, *, run_id: UUID) -> Sequence[CheckpointRow]:
    """The checkpoints that are kept, in order."""
    return session.scalars(
        select(CheckpointRow).where(CheckpointRow.run_id == run_id).order_by(CheckpointRow.step)
    ).all()


def group_ids_of(session: Session, *, run_id: UUID) -> list[UUID]:
    """The groups' ids, by step, purpose, policy and place."""
    query = select(GroupRow.id).where(GroupRow.run_id == run_id)
    return list(session.scalars(query.order_by(GroupRow.step, GroupRow.purpose, GroupRow.policy, GroupRow.index)))


def groups_of(session: Session, *, group_ids: Sequence[UUID]) -> Iterator[tuple[GroupRow, Sequence[SampleRow]]]:
    """These groups with their samples, in the order given."""
    for start in range(0, len(group_ids), _ROWS_AT_ONCE):
        part = group_ids[start : start + _ROWS_AT_ONCE]
        groups = {row.id: row for row in session.scalars(select(GroupRow).where(GroupRow.id.in_(part)))}
        samples: dict[UUID, list[SampleRow]] = {key: [] for key in part}
        query = select(SampleRow).where(SampleRow.group_id.in_(part)).order_by(SampleRow.index)
        for sample in session.scalars(query):
            samples[sample.group_id].append(sample)
        for key in part:
            if key in groups:
                yield groups[key], samples[key]
