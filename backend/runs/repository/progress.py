"""What an attempt records of its steps: progress, metrics, held-out scores, pace. Every write is fenced."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import ColumnElement, Float, case, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from backend.models import CheckpointRow, EventRow, GroupRow, MetricRow, RunRow
from backend.runs.repository.rows import set_fenced

# Over so many steps the pace is averaged: enough to hold the probes and checkpoints that come every few steps.
PACE_WINDOW = 100


def record_start(session: Session, *, run_id: UUID, attempt: int, from_step: int, num_steps: int) -> None:
    """Sets the run back to the step from which an attempt goes on, and removes what a lost one recorded after it."""
    set_fenced(session, run_id, attempt, step=from_step, num_steps=num_steps)
    delete_after_step(session, run_id=run_id, step=from_step)


def record_step(
    session: Session,
    *,
    run_id: UUID,
    attempt: int,
    step: int,
    num_steps: int,
    metrics: Mapping[str, float | None],
    seconds: float,
) -> None:
    """One finished step: its metrics, the run's progress, and its pace."""
    pace = _pace(session, run_id, attempt, step)
    set_fenced(
        session,
        run_id,
        attempt,
        step=step,
        num_steps=num_steps,
        latest_metrics=dict(metrics),
        seconds_per_step=func.coalesce(RunRow.seconds_per_step, seconds) if pace is None else pace,
        # The count of lost attempts starts anew only with a step that no attempt has reached before.
        num_lost=case((RunRow.best_step < step, 0), else_=RunRow.num_lost),
        best_step=func.greatest(RunRow.best_step, step),
    )
    session.execute(delete(MetricRow).where(MetricRow.run_id == run_id, MetricRow.step == step))
    session.execute(insert(MetricRow).values(run_id=run_id, step=step, values=dict(metrics)))


def delete_after_step(session: Session, *, run_id: UUID, step: int) -> None:
    """Removes metrics, groups with their samples, and checkpoints of later steps: the next attempt makes them again."""
    for table in (MetricRow, GroupRow, CheckpointRow):
        session.execute(delete(table).where(table.run_id == run_id, table.step > step))


def record_scores(
    session: Session, *, run_id: UUID, attempt: int, step: int, values: Mapping[str, float | None]
) -> None:
    """Adds a probe's figures to the metrics of its step; step 0 holds those of the base."""
    set_fenced(session, run_id, attempt)
    query = upsert(MetricRow).values(run_id=run_id, step=step, values=dict(values))
    merged = {"values": MetricRow.values.op("||")(query.excluded["values"])}
    session.execute(query.on_conflict_do_update(index_elements=["run_id", "step"], set_=merged))


def is_new_checkpoint(session: Session, *, run_id: UUID, attempt: int) -> bool:
    """Whether a checkpoint follows a step of this attempt: else it is the one that the attempt started from."""
    kind = EventRow.body["type"].astext
    query = select(kind).where(EventRow.run_id == run_id, EventRow.attempt == attempt, kind.in_(("started", "step")))
    return session.scalar(query.order_by(EventRow.seq.desc()).limit(1)) == "step"


def _pace(session: Session, run_id: UUID, attempt: int, step: int) -> float | None:
    """Seconds a step over this attempt's last steps, with all that comes between them; None at its first step."""
    number = EventRow.body["step"].as_integer()
    recent = (
        select(EventRow.created_at, number.label("step"))
        .where(EventRow.run_id == run_id, EventRow.attempt == attempt, EventRow.body["type"].astext == "step")
        .where(number < step)
        .order_by(EventRow.seq.desc())
        .limit(PACE_WINDOW)
        .subquery()
    )
    passed: ColumnElement[float] = func.extract("epoch", func.now() - func.min(recent.c.created_at)).cast(Float)
    return session.scalar(select(passed / (step - func.min(recent.c.step))))
