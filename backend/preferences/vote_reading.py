"""SQL of what figures and pair sets are made of: a task's votes as they are now, its pairs and its raters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import LabelPairRow, LabelTaskRow, RaterRow, SampleRow, VoteRow
from backend.preferences import repository
from backend.schemas.base import FieldProblem

# A statement takes 65,535 values at most.
_IDS_AT_ONCE = 10_000


@dataclass(frozen=True)
class StandingVote:
    """A vote or skip that was not taken back."""

    pair_id: UUID
    rater_id: UUID
    outcome: str
    is_swapped: bool
    latency_ms: int
    guideline_version: int
    created_at: datetime


@dataclass(frozen=True)
class TaskVotes:
    """All that is known of how a task was voted on."""

    task: LabelTaskRow
    pairs: Sequence[LabelPairRow]
    """in their own order"""
    raters: Sequence[RaterRow]
    """the first invited first"""
    votes: Sequence[StandingVote]
    """the earliest first"""
    num_undone: int
    excluded: frozenset[UUID]
    """raters that are left out: those marked so, and those that the question names"""


@dataclass(frozen=True)
class VoteMark:
    """Changes whenever a vote is given or taken back, or a rater excluded or renamed."""

    num_votes: int
    num_undone: int
    last_vote_at: datetime | None
    last_undone_at: datetime | None
    raters: tuple[tuple[UUID, str, bool], ...]


def read_votes(session: Session, *, task_id: UUID, exclude: Sequence[UUID] = ()) -> TaskVotes:
    """A task's votes.

    Raises:
        NotFoundError: when there is no such task.
        MalformedError: when `exclude` names nobody of this task.
    """
    task = repository.get_task(session, task_id=task_id)
    raters = session.scalars(select(RaterRow).where(RaterRow.label_task_id == task_id).order_by(RaterRow.id)).all()
    _refuse_strangers(exclude, raters)
    pairs = session.scalars(
        select(LabelPairRow).where(LabelPairRow.label_task_id == task_id).order_by(LabelPairRow.index)
    ).all()
    columns = (
        VoteRow.pair_id,
        VoteRow.rater_id,
        VoteRow.outcome,
        VoteRow.is_swapped,
        VoteRow.latency_ms,
        VoteRow.guideline_version,
        VoteRow.created_at,
    )
    stands = (VoteRow.label_task_id == task_id, VoteRow.undone_at.is_(None))
    votes = session.execute(select(*columns).where(*stands).order_by(VoteRow.created_at, VoteRow.id))
    return TaskVotes(
        task=task,
        pairs=pairs,
        raters=raters,
        votes=[StandingVote(*row) for row in votes],
        num_undone=mark_of(session, task_id=task_id).num_undone,
        excluded=frozenset(exclude) | {rater.id for rater in raters if rater.is_excluded},
    )


def mark_of(session: Session, *, task_id: UUID) -> VoteMark:
    """What tells whether votes or raters are other ones than they were."""
    undone = VoteRow.undone_at.isnot(None)
    counts = session.execute(
        select(
            func.count(), func.count().filter(undone), func.max(VoteRow.created_at), func.max(VoteRow.undone_at)
        ).where(VoteRow.label_task_id == task_id)
    ).one()
    raters = session.execute(
        select(RaterRow.id, RaterRow.label, RaterRow.is_excluded)
        .where(RaterRow.label_task_id == task_id)
        .order_by(RaterRow.id)
    )
    return VoteMark(*counts, raters=tuple((row[0], row[1], row[2]) for row in raters))


def rewards_of(session: Session, *, sample_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """What each reward gave some samples; those that are gone are missing."""
    found: dict[UUID, dict[str, Any]] = {}
    wanted = sorted(sample_ids)
    for begin in range(0, len(wanted), _IDS_AT_ONCE):
        ids = wanted[begin : begin + _IDS_AT_ONCE]
        rows = session.execute(select(SampleRow.id, SampleRow.reward_breakdown).where(SampleRow.id.in_(ids)))
        found |= {row[0]: row[1] for row in rows}
    return found


def _refuse_strangers(exclude: Sequence[UUID], raters: Sequence[RaterRow]) -> None:
    known = {rater.id for rater in raters}
    for rater_id in exclude:
        if rater_id not in known:
            message = f"{rater_id} is no rater of this task: GET its raters"
            raise MalformedError(message, (FieldProblem(pointer="/query/exclude_rater", message=message),))
