"""All SQL of a label task's owner: tasks and their counts, raters, votes, flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, select, text, tuple_
from sqlalchemy.orm import Session

from backend.errors import NotFoundError
from backend.models import LabelPairRow, LabelTaskRow, PairFlagRow, RaterRow, VoteRow
from backend.schemas.preference import VoteOutcome

STANDS: ColumnElement[bool] = VoteRow.undone_at.is_(None) & (VoteRow.outcome != VoteOutcome.SKIP)


_PAIRS_OF_RATER = text("""
SELECT id FROM label_pair WHERE id IN (
    SELECT pair_id FROM vote WHERE rater_id = :rater_id AND undone_at IS NULL AND outcome <> 'skip'
) ORDER BY id FOR NO KEY UPDATE
""")
_RECOUNT = text("""
UPDATE label_pair SET num_votes = counted.num_votes, sum_first = counted.sum_first
FROM (
    SELECT
        pair.id,
        count(rater.id) AS num_votes,
        coalesce(sum(CASE vote.outcome WHEN '0' THEN 1 WHEN '1' THEN 0 ELSE 0.5 END)
            FILTER (WHERE rater.id IS NOT NULL), 0) AS sum_first
    FROM label_pair AS pair
    LEFT JOIN vote ON vote.pair_id = pair.id AND vote.undone_at IS NULL AND vote.outcome <> 'skip'
    LEFT JOIN rater ON rater.id = vote.rater_id AND NOT rater.is_excluded
    WHERE pair.id = ANY(:pair_ids) GROUP BY pair.id
) AS counted WHERE label_pair.id = counted.id
""")


@dataclass(frozen=True)
class TaskCounts:
    """How much a task has and how far it is."""

    num_pairs: int = 0
    num_gold: int = 0
    num_votes: int = 0
    num_simulated_votes: int = 0
    num_flags: int = 0
    num_raters: int = 0


def get_task(session: Session, *, task_id: UUID, is_locked: bool = False) -> LabelTaskRow:
    """A label task; NotFoundError when there is none."""
    row = session.get(LabelTaskRow, task_id, with_for_update=is_locked or None, populate_existing=is_locked)
    if row is None:
        raise NotFoundError(f"there is no label task {task_id}: GET /api/v1/label-tasks lists them")
    return row


def list_tasks(
    session: Session, *, limit: int, after: tuple[datetime, UUID] | None = None, status: str | None = None
) -> Sequence[LabelTaskRow]:
    """Tasks, the newest first."""
    query = select(LabelTaskRow).order_by(LabelTaskRow.created_at.desc(), LabelTaskRow.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(LabelTaskRow.created_at, LabelTaskRow.id) < after)
    if status is not None:
        query = query.where(LabelTaskRow.status == status)
    return session.scalars(query).all()


def counts_of(session: Session, task_ids: Sequence[UUID]) -> dict[UUID, TaskCounts]:
    """The counts of some tasks, in four queries."""
    found: dict[UUID, dict[str, int]] = {task_id: {} for task_id in task_ids}
    is_plain = ~LabelPairRow.is_gold
    pairs = (
        select(
            LabelPairRow.label_task_id,
            func.count().filter(is_plain),
            func.count().filter(LabelPairRow.is_gold),
            func.coalesce(func.sum(LabelPairRow.num_votes).filter(is_plain), 0),
        )
        .where(LabelPairRow.label_task_id.in_(task_ids))
        .group_by(LabelPairRow.label_task_id)
    )
    for task_id, num_pairs, num_gold, num_votes in session.execute(pairs):
        found[task_id] |= {"num_pairs": num_pairs, "num_gold": num_gold, "num_votes": num_votes}
    for task_id, num_votes in session.execute(_simulated_votes(task_ids)):
        found[task_id]["num_simulated_votes"] = num_votes
    raters = select(RaterRow.label_task_id, func.count()).where(RaterRow.label_task_id.in_(task_ids))
    for task_id, num_raters in session.execute(raters.group_by(RaterRow.label_task_id)):
        found[task_id]["num_raters"] = num_raters
    flags = (
        select(LabelPairRow.label_task_id, func.count())
        .join(PairFlagRow, PairFlagRow.pair_id == LabelPairRow.id)
        .where(LabelPairRow.label_task_id.in_(task_ids))
        .group_by(LabelPairRow.label_task_id)
    )
    for task_id, num_flags in session.execute(flags):
        found[task_id]["num_flags"] = num_flags
    return {task_id: TaskCounts(**each) for task_id, each in found.items()}


def add_pairs(session: Session, *, task_id: UUID, pairs: Sequence[dict[str, Any]]) -> None:
    """Stores a task's pairs in the given order."""
    session.execute(
        insert(LabelPairRow), [{"label_task_id": task_id, "index": index} | pair for index, pair in enumerate(pairs)]
    )


def get_rater(session: Session, *, rater_id: UUID, is_locked: bool = True) -> RaterRow:
    """A rater; locked against their votes and not against their holds. NotFoundError when there is none."""
    row = session.get(RaterRow, rater_id, with_for_update={"key_share": True} if is_locked else None)
    if row is None:
        raise NotFoundError(f"there is no rater {rater_id}: GET /api/v1/label-tasks/{{id}}/raters lists a task's")
    return row


def recount_pairs(session: Session, *, rater_id: UUID) -> None:
    """Counts anew the votes of all pairs that a rater voted on: those that stand, of raters who are not excluded.

    The rater is locked by then. Votes of others that arrive meanwhile wait for the pairs and add themselves after.
    """
    pair_ids = session.scalars(_PAIRS_OF_RATER, {"rater_id": rater_id}).all()
    session.execute(_RECOUNT, {"pair_ids": list(pair_ids)})


def list_raters(
    session: Session, *, task_id: UUID, limit: int, after: UUID | None = None
) -> list[tuple[RaterRow, int, datetime | None]]:
    """A task's raters in the order in which they were made, each with its votes that stand and the last one's time."""
    query = _raters_with_votes().where(RaterRow.label_task_id == task_id).order_by(RaterRow.id).limit(limit)
    if after is not None:
        query = query.where(RaterRow.id > after)
    return [(row, num_votes, last) for row, num_votes, last in session.execute(query)]


def votes_of_rater(session: Session, *, rater_id: UUID) -> tuple[int, datetime | None]:
    """How many of a rater's votes stand, and when the last one was made."""
    _, num_votes, last = session.execute(_raters_with_votes().where(RaterRow.id == rater_id)).one()
    return num_votes, last


def list_votes(
    session: Session,
    *,
    task_id: UUID,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    has_undone: bool = True,
) -> list[tuple[VoteRow, LabelPairRow, RaterRow]]:
    """A task's votes in the order in which they were made."""
    query = (
        select(VoteRow, LabelPairRow, RaterRow)
        .join(LabelPairRow, LabelPairRow.id == VoteRow.pair_id)
        .join(RaterRow, RaterRow.id == VoteRow.rater_id)
        .where(VoteRow.label_task_id == task_id)
        .order_by(VoteRow.created_at, VoteRow.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(VoteRow.created_at, VoteRow.id) > after)
    if not has_undone:
        query = query.where(VoteRow.undone_at.is_(None))
    return [(vote, pair, rater) for vote, pair, rater in session.execute(query)]


def list_flags(
    session: Session, *, task_id: UUID, limit: int, after: UUID | None = None
) -> list[tuple[PairFlagRow, LabelPairRow]]:
    """What raters flagged, the first flag first."""
    query = (
        select(PairFlagRow, LabelPairRow)
        .join(LabelPairRow, LabelPairRow.id == PairFlagRow.pair_id)
        .where(LabelPairRow.label_task_id == task_id)
        .order_by(PairFlagRow.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(PairFlagRow.id > after)
    return [(flag, pair) for flag, pair in session.execute(query)]


def _simulated_votes(task_ids: Sequence[UUID]) -> Any:
    """Of each task's votes that count on pairs that are not gold, those of programs."""
    return (
        select(RaterRow.label_task_id, func.count())
        .join(VoteRow, VoteRow.rater_id == RaterRow.id)
        .join(LabelPairRow, LabelPairRow.id == VoteRow.pair_id)
        .where(RaterRow.label_task_id.in_(task_ids), RaterRow.is_simulated, ~RaterRow.is_excluded)
        .where(STANDS, ~LabelPairRow.is_gold)
        .group_by(RaterRow.label_task_id)
    )


def _raters_with_votes() -> Any:
    joined = (VoteRow.rater_id == RaterRow.id) & STANDS
    return (
        select(RaterRow, func.count(VoteRow.id), func.max(VoteRow.created_at))
        .outerjoin(VoteRow, joined)
        .group_by(RaterRow.id)
    )
