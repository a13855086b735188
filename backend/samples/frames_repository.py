"""All SQL on requests for decoded frames, shared by API and interactive worker. The clock is the database's.

A message is a nudge, as for runs: a request that was sent, lost or left half done is found here again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Update, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from backend.models import FramesRow, GroupRow, RunRow, SampleRow, WorkerRow
from backend.queue import INTERACTIVE_QUEUE
from backend.schemas.sample import FramesState

# The interactive worker tells every five seconds that it lives.
SILENT_AFTER_SECONDS = 20.0
MAX_TRIES = 3

_RESEND_SECONDS = 30.0


@dataclass(frozen=True)
class ClaimedFrames:
    """All that decoding a sample's frames needs to know."""

    sample: SampleRow
    group: GroupRow
    config: dict[str, Any]  # The run's.


def get_frames(session: Session, *, sample_id: UUID) -> FramesRow | None:
    """The request for a sample's frames, if there ever was one."""
    return session.get(FramesRow, sample_id, populate_existing=True)


def request_frames(session: Session, *, sample_id: UUID) -> FramesRow:
    """Queues a request for frames that are not there, unless one is unfinished; one that is over begins anew."""
    begin = {"state": FramesState.QUEUED.value, "num_done": 0, "num_tries": 0, "error": None, "sent_at": None}
    query = upsert(FramesRow).values(sample_id=sample_id, **begin)
    session.execute(
        query.on_conflict_do_update(
            index_elements=["sample_id"],
            set_=begin | {"requested_at": func.now(), "started_at": None, "finished_at": None},
            where=FramesRow.state.in_((FramesState.FAILED.value, FramesState.DECODED.value)),
        )
    )
    row = get_frames(session, sample_id=sample_id)
    assert row is not None
    return row


def is_worker_there(session: Session) -> bool:
    """Whether an interactive worker was heard from lately."""
    return session.scalar(_living_workers().limit(1)) is not None


def seconds_unsent(session: Session, *, sample_id: UUID) -> float:
    """How long a request has waited for the broker to take its message; 0 once it has."""
    waited = func.extract("epoch", func.now() - FramesRow.requested_at)
    query = select(waited).where(FramesRow.sample_id == sample_id, FramesRow.sent_at.is_(None))
    return float(session.scalar(query) or 0)


def claim(session: Session, *, sample_id: UUID, worker: str) -> ClaimedFrames | None:
    """Takes a queued request in hand; None when it is not to be had."""
    taken = (
        update(FramesRow)
        .where(FramesRow.sample_id == sample_id, FramesRow.state == FramesState.QUEUED.value)
        .values(
            state=FramesState.DECODING.value,
            worker=worker,
            num_done=0,
            num_tries=FramesRow.num_tries + 1,
            started_at=func.clock_timestamp(),
        )
    )
    if not _changed(session, taken):
        return None
    query = (
        select(SampleRow, GroupRow, RunRow.config)
        .join(GroupRow, GroupRow.id == SampleRow.group_id)
        .join(RunRow, RunRow.id == SampleRow.run_id)
        .where(SampleRow.id == sample_id)
    )
    sample, group, config = session.execute(query).one()
    return ClaimedFrames(sample, group, config)


def tell_progress(session: Session, *, sample_id: UUID, num_done: int) -> None:
    """Notes how many frames are decoded."""
    session.execute(update(FramesRow).where(FramesRow.sample_id == sample_id).values(num_done=num_done))


def finish(session: Session, *, sample_id: UUID, image_sha256: str) -> bool:
    """Marks the frames as decoded; False when a resumed run has made another picture of the sample meanwhile."""
    is_same = select(SampleRow).where(SampleRow.id == sample_id, SampleRow.image_sha256 == image_sha256).exists()
    values = {
        "state": FramesState.DECODED.value,
        "finished_at": func.clock_timestamp(),
    }
    return _changed(session, update(FramesRow).where(FramesRow.sample_id == sample_id, is_same).values(**values))


def fail(session: Session, *, sample_id: UUID, error: str) -> None:
    """Ends a request with the reason and the cure."""
    values = {"state": FramesState.FAILED.value, "error": error, "finished_at": func.clock_timestamp()}
    session.execute(update(FramesRow).where(FramesRow.sample_id == sample_id).values(**values))


def release(session: Session, *, worker: str) -> None:
    """Gives back what a worker of this name had in hand: it was ended, and this is its successor."""
    _give_back(session, FramesRow.worker == worker)


def requeue_lost(session: Session) -> None:
    """Gives back what is in the hands of workers that fell silent."""
    is_heard = _living_workers().where(WorkerRow.name == FramesRow.worker).exists()
    _give_back(session, ~is_heard)


def list_unsent(session: Session) -> Sequence[UUID]:
    """Queued requests whose message never reached the broker, or so long ago that it may be lost."""
    old = func.now() - timedelta(seconds=_RESEND_SECONDS)
    is_due = FramesRow.sent_at.is_(None) | (FramesRow.sent_at < old)
    query = select(FramesRow.sample_id).where(FramesRow.state == FramesState.QUEUED.value, is_due)
    return session.scalars(query.order_by(FramesRow.requested_at)).all()


def mark_sent(session: Session, *, sample_id: UUID) -> None:
    """Notes that a message for the request has reached the broker."""
    session.execute(update(FramesRow).where(FramesRow.sample_id == sample_id).values(sent_at=func.now()))


def _give_back(session: Session, is_lost: ColumnElement[bool]) -> None:
    """Queues again what was lost, or ends it where its workers keep dying of it."""
    lost = update(FramesRow).where(FramesRow.state == FramesState.DECODING.value, is_lost)
    error = (
        f"{MAX_TRIES} tries in a row were lost: the interactive worker died while it decoded, often for lack of "
        "memory. See its lines in the studio's log, free some memory, then ask again"
    )
    is_hopeless = FramesRow.num_tries >= MAX_TRIES
    failed = {"state": FramesState.FAILED.value, "error": error, "finished_at": func.clock_timestamp()}
    session.execute(lost.where(is_hopeless).values(**failed))
    session.execute(lost.values(state=FramesState.QUEUED.value, sent_at=None, worker=None))


def _living_workers() -> Select[str]:
    recent = func.now() - timedelta(seconds=SILENT_AFTER_SECONDS)
    return select(WorkerRow.name).where(WorkerRow.queue == INTERACTIVE_QUEUE, WorkerRow.seen_at > recent)


def _changed(session: Session, query: Update) -> bool:
    """Performs an update of one request; whether there was one to update."""
    return session.scalar(query.returning(FramesRow.sample_id)) is not None
