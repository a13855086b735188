"""Votes as raters send them: put under the rater's own UUID as often as it takes, taken back, and pairs flagged."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from backend.db import driver_sql, in_lane
from backend.errors import AlreadyVotedError, ConflictError, MalformedError, NotFoundError, UnavailableError
from backend.models import LabelPairRow, LabelTaskRow, PairFlagRow, RaterRow, VoteRow
from backend.preferences.serving import hold
from backend.preferences.tokens import is_swapped
from backend.schemas.base import FieldProblem
from backend.schemas.preference import Choice, FlagCreate, RaterVote, VoteOutcome, VotePut

_NOT_SWAPPED = {Choice.LEFT: VoteOutcome.FIRST, Choice.RIGHT: VoteOutcome.SECOND}
_SWAPPED = {Choice.LEFT: VoteOutcome.SECOND, Choice.RIGHT: VoteOutcome.FIRST}
_SHARES = {VoteOutcome.FIRST: 1.0, VoteOutcome.SECOND: 0.0, VoteOutcome.TIE: 0.5, VoteOutcome.BOTH_BAD: 0.5}


# One statement, one round trip: the vote, the pair's count and the end of the hold are there together or not at all. A
# vote of the same UUID, or a second one of this rater on this pair, adds nothing, however many arrive at the same
# moment; nor does one behind a withdrawn link, on a pair of another task, or under a guideline that there is not.
# Whoever excludes the rater meanwhile waits for this vote, or this vote for them: it is counted only if theirs count.
# The pair comes before the hold on it, as where the next pairs are handed out: the page asks for these at the same
# time, and in the other order each would wait for the other. That the hold goes by what was counted makes it so.
_STORE = driver_sql("""
WITH sender AS (
    SELECT id, label_task_id, is_excluded FROM rater WHERE id = :rater_id AND NOT is_revoked FOR SHARE
), stored AS (
    INSERT INTO vote
    (id, label_task_id, pair_id, rater_id, choice, outcome, is_swapped, latency_ms, guideline_version)
    SELECT :id, task.id, pair.id, sender.id, :choice, :outcome, :is_swapped, :latency_ms,
        coalesce(:guideline_version, cardinality(task.guidelines))
    FROM sender
    JOIN label_task AS task ON task.id = sender.label_task_id
    JOIN label_pair AS pair ON pair.label_task_id = task.id
    WHERE pair.id = :pair_id AND coalesce(:guideline_version, 1) <= cardinality(task.guidelines)
    ON CONFLICT DO NOTHING RETURNING pair_id, created_at
), counted AS (
    UPDATE label_pair SET
        num_votes = num_votes + CASE WHEN sender.is_excluded THEN 0 ELSE :num_votes END,
        sum_first = sum_first + CASE WHEN sender.is_excluded THEN 0 ELSE :share END
    FROM stored, sender WHERE label_pair.id = stored.pair_id RETURNING label_pair.id AS pair_id
), let_go AS (
    DELETE FROM pair_hold USING counted WHERE pair_hold.pair_id = counted.pair_id AND rater_id = :rater_id
)
SELECT created_at FROM stored
""")


def store_vote(lane: Engine, rater_id: UUID, vote_id: UUID, wanted: VotePut) -> RaterVote | None:
    """Stores a vote once, however often it comes. A task that was closed meanwhile still takes it: none is lost.

    Returns:
        None where nothing was stored; `explain` says why.
    """
    swapped = is_swapped(rater_id, wanted.pair_id)
    outcome = (_SWAPPED if swapped else _NOT_SWAPPED).get(wanted.choice) or VoteOutcome(wanted.choice.value)
    values = {
        "id": vote_id,
        "pair_id": wanted.pair_id,
        "rater_id": rater_id,
        "choice": wanted.choice.value,
        "outcome": outcome.value,
        "is_swapped": swapped,
        "latency_ms": wanted.latency_ms,
        "guideline_version": wanted.guideline_version,
        "num_votes": int(outcome in _SHARES),
        "share": _SHARES.get(outcome, 0.0),
    }
    created_at = in_lane(lane, lambda connection: connection.exec_driver_sql(_STORE, values).scalar())
    if created_at is None:
        return None
    return RaterVote(id=vote_id, pair_id=wanted.pair_id, choice=wanted.choice, created_at=created_at, undone_at=None)


def explain(session: Session, task: LabelTaskRow, rater: RaterRow, vote_id: UUID, wanted: VotePut) -> RaterVote:
    """The answer that a vote had, where it is a repeat; else why it was not stored.

    Raises:
        AlreadyVotedError: when the rater has a vote on this pair that stands.
        ConflictError: when the UUID came with another vote.
        MalformedError: when the task has no such pair, or no such version of its guideline.
        UnavailableError: when what stood in the way is gone by now.
    """
    newest = len(task.guidelines)
    if wanted.guideline_version is not None and wanted.guideline_version > newest:
        message = f"is {wanted.guideline_version}, and the newest is {newest}: take it from GET /api/v1/rating"
        raise MalformedError(
            f"guideline_version {message}", (FieldProblem(pointer="/guideline_version", message=message),)
        )
    _pair_of(session, task, wanted.pair_id)
    earlier = session.get(VoteRow, vote_id)
    if earlier is not None:
        return _repeated(earlier, rater, wanted)
    standing = select(VoteRow.id).where(
        VoteRow.rater_id == rater.id, VoteRow.pair_id == wanted.pair_id, VoteRow.undone_at.is_(None)
    )
    if session.scalars(standing).one_or_none() is None:
        raise UnavailableError("what stood in the way of this vote is gone by now: send it again")
    raise AlreadyVotedError("you have voted on this pair already: undo that vote first")


def undo_vote(session: Session, task: LabelTaskRow, rater: RaterRow, vote_id: UUID) -> RaterVote:
    """Takes a vote back; its row stays. The pair is the rater's again for ten minutes. A repeat changes nothing.

    Raises:
        NotFoundError: when this rater has no such vote.
    """
    row = session.get(VoteRow, vote_id)
    if row is None or row.rater_id != rater.id:
        raise NotFoundError(f"you have no vote {vote_id}: only a vote that arrived can be taken back")
    # In the order in which a vote and an exclusion lock them too.
    session.refresh(rater, with_for_update={"read": True})
    pair = _pair_of(session, task, row.pair_id, is_locked=True)
    session.refresh(row)
    if row.undone_at is None:
        session.execute(update(VoteRow).where(VoteRow.id == vote_id).values(undone_at=func.now()))
        if row.outcome in _SHARES and not rater.is_excluded:
            pair.num_votes -= 1
            pair.sum_first -= _SHARES[VoteOutcome(row.outcome)]
        hold(session, rater.id, pair.id)
        session.flush()
        session.refresh(row)
    return _as_rater_sees_it(row)


def flag_pair(session: Session, task: LabelTaskRow, rater: RaterRow, wanted: FlagCreate) -> None:
    """Notes what a rater finds wrong with a pair."""
    pair = _pair_of(session, task, wanted.pair_id)
    session.add(PairFlagRow(pair_id=pair.id, rater_id=rater.id, reason=wanted.reason))


def _pair_of(session: Session, task: LabelTaskRow, pair_id: UUID, *, is_locked: bool = False) -> LabelPairRow:
    query = select(LabelPairRow).where(LabelPairRow.id == pair_id, LabelPairRow.label_task_id == task.id)
    pair = session.scalars(query.with_for_update(key_share=True) if is_locked else query).one_or_none()
    if pair is None:
        problem = FieldProblem(pointer="/pair_id", message="is no pair of this task")
        raise MalformedError(f"{pair_id} is no pair of this task: take it from GET /api/v1/rating/next", (problem,))
    return pair


def _repeated(earlier: VoteRow, rater: RaterRow, wanted: VotePut) -> RaterVote:
    """The answer that the vote had, where it is the same vote; a repeat of one that was undone stays undone."""
    version = wanted.guideline_version or earlier.guideline_version
    sent = (rater.id, wanted.pair_id, wanted.choice.value, wanted.latency_ms, version)
    if sent != (earlier.rater_id, earlier.pair_id, earlier.choice, earlier.latency_ms, earlier.guideline_version):
        raise ConflictError(f"vote {earlier.id} came with another body or from another rater: use a new UUID")
    return _as_rater_sees_it(earlier)


def _as_rater_sees_it(row: VoteRow) -> RaterVote:
    return RaterVote(
        id=row.id,
        pair_id=row.pair_id,
        choice=Choice(row.choice),
        created_at=row.created_at,
        undone_at=row.undone_at,
    )
