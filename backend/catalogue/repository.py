"""All SQL on workers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from backend.models import WorkerRow
from backend.queue import RUN_QUEUE

SILENT_AFTER_SECONDS = 90.0


def hear_from_worker(
    session: Session,
    *,
    name: str,
    run_id: UUID | None,
    device: str,
    num_cores: int,
    memory_gib: float,
    queue: str = RUN_QUEUE,
) -> None:
    """A worker's sign of life: who it is, what it serves and holds, what it has."""
    values = {"queue": queue, "run_id": run_id, "device": device, "num_cores": num_cores, "memory_gib": memory_gib}
    query = upsert(WorkerRow).values(name=name, **values)
    session.execute(
        query.on_conflict_do_update(index_elements=["name"], set_=values | {"seen_at": func.clock_timestamp()})
    )


def forget_worker(session: Session, *, name: str) -> None:
    """Takes a worker off the list: it ends in an orderly way."""
    session.execute(delete(WorkerRow).where(WorkerRow.name == name))


def list_workers(session: Session) -> Sequence[WorkerRow]:
    """The workers that take runs and were heard from lately."""
    is_shown = (WorkerRow.queue == RUN_QUEUE) & (
        WorkerRow.seen_at > func.now() - timedelta(seconds=SILENT_AFTER_SECONDS)
    )
    return session.scalars(select(WorkerRow).where(is_shown).order_by(WorkerRow.name)).all()
