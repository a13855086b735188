"""Which pairs a rater sees next, and who holds which: safe for many raters at once, without one waiting for another.

A pair is open to a rater who has no vote on it that stands, while its votes and the holds of others are fewer than the
task's votes a pair; gold pairs are open to everybody. A hold lasts ten minutes. A vote that comes later is kept and
counted like any other, so a pair may then have one vote more than was asked for, and never one less.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, case, cast, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from backend.models import LabelPairRow, LabelTaskRow, PairHoldRow, RaterRow, VoteRow
from backend.schemas.preference import PairStrategy

HELD_FOR = timedelta(minutes=10)
_PRIME = 2**31 - 1
_NO_VOTE = 1 / 12
"""the variance of a preference that nobody has voted on"""


def next_pairs(session: Session, task: LabelTaskRow, rater: RaterRow, *, count: int) -> Sequence[LabelPairRow]:
    """The rater's next pairs, held for it from now on: those it holds already first.

    Args:
        session: the request's.
        task: the rater's, open.
        rater: who asks.
        count: at most so many.
    """
    mine = _held_by(rater.id)
    query = (
        select(LabelPairRow)
        .where(LabelPairRow.label_task_id == task.id, ~_has_vote_of(rater.id), _is_open(task, rater.id))
        .order_by(mine.desc(), *_order(task, rater))
        .limit(count)
        # What another rater is being given at this very moment is passed over, not waited for.
        .with_for_update(of=LabelPairRow, skip_locked=True)
    )
    locked = session.scalars(query).all()
    if not locked:
        return []
    # A hold that was committed after this query began is seen now that its pair is locked.
    ids = [pair.id for pair in locked]
    still_open = set(session.scalars(select(LabelPairRow.id).where(LabelPairRow.id.in_(ids), _is_open(task, rater.id))))
    pairs = [pair for pair in locked if pair.id in still_open]
    if pairs:
        hold(session, rater.id, [pair.id for pair in pairs])
    return pairs


def hold(session: Session, rater_id: UUID, pair_ids: Sequence[UUID]) -> None:
    """Gives pairs into a rater's hands for ten minutes, or for ten more."""
    until = func.now() + HELD_FOR
    rows = [{"pair_id": pair_id, "rater_id": rater_id, "expires_at": until} for pair_id in pair_ids]
    query = upsert(PairHoldRow).values(rows)
    session.execute(query.on_conflict_do_update(index_elements=["pair_id", "rater_id"], set_={"expires_at": until}))


def progress_of(session: Session, task: LabelTaskRow, rater: RaterRow) -> tuple[int, int]:
    """How many pairs the rater is done with, and how many more are open to it."""
    voted = _has_vote_of(rater.id)
    query = select(
        func.count().filter(voted),
        func.count().filter(~voted & _is_open(task, rater.id)),
    ).where(LabelPairRow.label_task_id == task.id)
    num_done, num_open = session.execute(query).one()
    return num_done, num_open


def _has_vote_of(rater_id: UUID) -> ColumnElement[bool]:
    return exists().where(VoteRow.rater_id == rater_id, VoteRow.pair_id == LabelPairRow.id, VoteRow.undone_at.is_(None))


def _held_by(rater_id: UUID) -> ColumnElement[bool]:
    return exists().where(PairHoldRow.rater_id == rater_id, PairHoldRow.pair_id == LabelPairRow.id)


def _is_open(task: LabelTaskRow, rater_id: UUID) -> ColumnElement[bool]:
    others = (
        select(func.count())
        .where(
            PairHoldRow.pair_id == LabelPairRow.id,
            PairHoldRow.rater_id != rater_id,
            PairHoldRow.expires_at > func.now(),
        )
        .correlate(LabelPairRow)
        .scalar_subquery()
    )
    has_room = LabelPairRow.num_votes < task.votes_per_pair
    return or_(LabelPairRow.is_gold, and_(has_room, LabelPairRow.num_votes + others < task.votes_per_pair))


def _order(task: LabelTaskRow, rater: RaterRow) -> tuple[ColumnElement[Any], ...]:
    """Shuffled: a permutation of the places, another for each rater. Most informative: the most uncertain pair first.

    With a uniform prior, w of n votes for the first picture leave its preference a Beta(1 + w, 1 + n - w); the pair of
    the largest variance comes first, that of few or of contradicting votes. A quarter of the gold pairs stand among
    those without a vote, and the others anywhere, so that they come at any time.
    """
    place = (cast(LabelPairRow.index, BigInteger) + 1) * literal(rater.shuffle, BigInteger) % _PRIME
    if task.strategy == PairStrategy.SHUFFLED:
        return (place,)
    first = 1 + LabelPairRow.sum_first
    second = 1 + LabelPairRow.num_votes - LabelPairRow.sum_first
    total = first + second
    variance = first * second / (total * total * (total + 1))
    anywhere = case((place % 4 == 0, _NO_VOTE), else_=_NO_VOTE * cast(place, Float) / _PRIME)
    return (case((LabelPairRow.is_gold, anywhere), else_=variance).desc(), place)
