"""Votes as raters send them: put under the rater's own UUID as often as it takes, taken back, and pairs flagged."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from backend.errors import ConflictError, MalformedError, NotFoundError
from backend.models import LabelPairRow, LabelTaskRow, PairFlagRow, PairHoldRow, RaterRow, VoteRow
from backend.preferences.serving import hold
from backend.preferences.tokens import is_swapped
from backend.schemas.base import FieldProblem
from backend.schemas.preference import Choice, FlagCreate, RaterVote, VoteOutcome, VotePut

_NOT_SWAPPED = {Choice.LEFT: VoteOutcome.FIRST, Choice.RIGHT: VoteOutcome.SECOND}
_SWAPPED = {Choice.LEFT: VoteOutcome.SECOND, Choice.RIGHT: VoteOutcome.FIRST}
_SHARES = {VoteOutcome.FIRST: 1.0, VoteOutcome.SECOND: 0.0, VoteOutcome.TIE: 0.5, VoteOutcome.BOTH_BAD: 0.5}


def put_vote(session: Session, task: LabelTaskRow, rater: RaterRow, vote_id: UUID, wanted: VotePut) -> RaterVote:
    """Stores a vote once, however often it comes. A task that was closed meanwhile still takes it: none is lost.

    Raises:
        ConflictError: when the UUID came with another vote, or the rater has a vote on this pair that stands.
        MalformedError: when the task has no such pair.
    """
    # Votes on one pair come after one another, and so do the repeats of one vote.
    pair = _locked_pair(session, task, wanted.pair_id)
    earlier = session.get(VoteRow, vote_id)
    if earlier is not None:
        return _repeated(earlier, rater, wanted)
    standing = select(VoteRow.id).where(
        VoteRow.rater_id == rater.id, VoteRow.pair_id == pair.id, VoteRow.undone_at.is_(None)
    )
    if session.scalar(standing) is not None:
        raise ConflictError("you have voted on this pair already: undo that vote first")
    swapped = is_swapped(rater.id, pair.id)
    outcome = (_SWAPPED if swapped else _NOT_SWAPPED).get(wanted.choice) or VoteOutcome(wanted.choice.value)
    row = VoteRow(
        id=vote_id,
        label_task_id=task.id,
        pair_id=pair.id,
        rater_id=rater.id,
        choice=wanted.choice.value,
        outcome=outcome.value,
        is_swapped=swapped,
        latency_ms=wanted.latency_ms,
        guideline_version=len(task.guidelines),
    )
    session.add(row)
    _count(pair, outcome, 1)
    session.execute(delete(PairHoldRow).where(PairHoldRow.pair_id == pair.id, PairHoldRow.rater_id == rater.id))
    session.flush()
    return _as_rater_sees_it(row)


def undo_vote(session: Session, task: LabelTaskRow, rater: RaterRow, vote_id: UUID) -> RaterVote:
    """Takes a vote back; its row stays. The pair is the rater's again for ten minutes. A repeat changes nothing.

    Raises:
        NotFoundError: when this rater has no such vote.
    """
    row = session.get(VoteRow, vote_id)
    if row is None or row.rater_id != rater.id:
        raise NotFoundError(f"you have no vote {vote_id}: only a vote that arrived can be taken back")
    pair = _locked_pair(session, task, row.pair_id)
    session.refresh(row)
    if row.undone_at is None:
        taken_back = update(VoteRow).where(VoteRow.id == vote_id).values(undone_at=func.now())
        session.execute(taken_back)
        _count(pair, VoteOutcome(row.outcome), -1)
        hold(session, rater.id, [pair.id])
        session.flush()
        session.refresh(row)
    return _as_rater_sees_it(row)


def flag_pair(session: Session, task: LabelTaskRow, rater: RaterRow, wanted: FlagCreate) -> None:
    """Notes what a rater finds wrong with a pair."""
    pair = _locked_pair(session, task, wanted.pair_id)
    session.add(PairFlagRow(pair_id=pair.id, rater_id=rater.id, reason=wanted.reason))


def _locked_pair(session: Session, task: LabelTaskRow, pair_id: UUID) -> LabelPairRow:
    query = select(LabelPairRow).where(LabelPairRow.id == pair_id, LabelPairRow.label_task_id == task.id)
    pair = session.scalars(query.with_for_update()).one_or_none()
    if pair is None:
        problem = FieldProblem(pointer="/pair_id", message="is no pair of this task")
        raise MalformedError(f"{pair_id} is no pair of this task: take it from GET /api/v1/rating/next", (problem,))
    return pair


def _count(pair: LabelPairRow, outcome: VoteOutcome, by: int) -> None:
    if outcome is VoteOutcome.SKIP:
        return
    pair.num_votes += by
    pair.sum_first += by * _SHARES[outcome]


def _repeated(earlier: VoteRow, rater: RaterRow, wanted: VotePut) -> RaterVote:
    """The answer that the vote had, where it is the same vote; a repeat of one that was undone stays undone."""
    sent = (rater.id, wanted.pair_id, wanted.choice.value, wanted.latency_ms)
    if sent != (earlier.rater_id, earlier.pair_id, earlier.choice, earlier.latency_ms):
        raise ConflictError(f"vote {earlier.id} came with another pair, choice or rater before: use a new UUID")
    return _as_rater_sees_it(earlier)


def _as_rater_sees_it(row: VoteRow) -> RaterVote:
    return RaterVote(
        id=row.id,
        pair_id=row.pair_id,
        choice=Choice(row.choice),
        created_at=row.created_at,
        undone_at=row.undone_at,
    )
