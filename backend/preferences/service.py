"""Label tasks as their owner handles them: creation, edits, raters; and rows as the API shows them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend.artifacts import name_of_run
from backend.errors import OutdatedError
from backend.idempotency import once
from backend.models import LabelPairRow, LabelTaskRow, PairFlagRow, RaterRow, VoteRow
from backend.naming_locks import lock_named
from backend.preferences import repository
from backend.preferences.pairing import pairs_for
from backend.preferences.tokens import hash_of, new_shuffle, new_token, token_of_key
from backend.schemas.base import WireModel
from backend.schemas.pair_source import PairSourceConfig
from backend.schemas.preference import (
    Choice,
    LabelTask,
    LabelTaskCreate,
    LabelTaskEdit,
    NewRater,
    PairFlag,
    PairSide,
    PairStrategy,
    Rater,
    RaterCreate,
    RaterEdit,
    TaskStatus,
    Vote,
    VoteOutcome,
)

RATER_PAGE = "/rate"


def create_task(session: Session, wanted: LabelTaskCreate, runs_dir: Path) -> LabelTask:
    """Makes a task with its pairs.

    Raises:
        NotFoundError: when a run or a sample is not there.
        MalformedError: when no pairs can be made of the source.
    """
    runs = (wanted.source.run_id, wanted.source.other_run_id)
    lock_named(session, [name_of_run(each) for each in runs if each is not None])
    pairs = pairs_for(session, wanted, runs_dir)
    row = LabelTaskRow(
        name=wanted.name,
        guidelines=[wanted.guideline],
        source=wanted.source.model_dump(mode="json"),
        strategy=wanted.strategy.value,
        votes_per_pair=wanted.votes_per_pair,
    )
    session.add(row)
    session.flush()
    repository.add_pairs(session, task_id=row.id, pairs=pairs)
    session.refresh(row)
    return tasks_of(session, [row])[0]


def edit_task(session: Session, task_id: UUID, changes: LabelTaskEdit, if_match: str | None) -> LabelTaskRow:
    """Changes name, guideline or status; a guideline that is another becomes the next version.

    Raises:
        NotFoundError: when there is no such task.
        OutdatedError: when `if_match` names a state before the last edit.
    """
    row = repository.get_task(session, task_id=task_id, is_locked=True)
    if if_match is not None and if_match not in ("*", etag_of(row)):
        raise OutdatedError(f"label task {task_id} was edited since it was read: read it again, then repeat the change")
    if changes.name is not None:
        row.name = changes.name
    if changes.guideline is not None and changes.guideline != row.guidelines[-1]:
        row.guidelines = [*row.guidelines, changes.guideline]
    if changes.status is not None:
        row.status = changes.status.value
    row.revision += 1
    session.flush()
    return row


def etag_of(row: LabelTaskRow) -> str:
    """The task's entity tag: it changes with every edit, and not with votes."""
    return f'"{row.revision}"'


class _MadeRater(WireModel):
    """What is kept under an Idempotency-Key: from it and the key, which is not kept, the link is made again."""

    rater: Rater
    salt: str


def create_rater(session: Session, task_id: UUID, wanted: RaterCreate, key: str | None = None) -> NewRater:
    """Makes a rater and its link; the token is known to whoever asks now, and to nobody later who has not the key.

    Args:
        key: the request's Idempotency-Key; with the same one the same request gives the same rater and link.

    Raises:
        NotFoundError: when there is no such task.
        MalformedError: when the key came with another request before.
    """
    if key is None:
        token = new_token()
        return _with_link(_add_rater(session, task_id, wanted, token), token)

    def create() -> _MadeRater:
        salt = secrets.token_urlsafe(32)
        return _MadeRater(rater=_add_rater(session, task_id, wanted, token_of_key(salt, key)), salt=salt)

    request = f"POST /label-tasks/{task_id}/raters {wanted.model_dump_json()}"
    made = once(session, key, request, _MadeRater, create, kept_as=f"rater {hash_of(key)}")
    return _with_link(made.rater, token_of_key(made.salt, key))


def _with_link(rater: Rater, token: str) -> NewRater:
    return NewRater(**rater.model_dump(), token=token, url=f"{RATER_PAGE}#{token}")


def _add_rater(session: Session, task_id: UUID, wanted: RaterCreate, token: str) -> Rater:
    repository.get_task(session, task_id=task_id)
    row = RaterRow(
        label_task_id=task_id,
        label=wanted.label,
        token_hash=hash_of(token),
        shuffle=new_shuffle(),
        is_simulated=wanted.is_simulated,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return rater_of_row(row, 0, None)


def get_rater(session: Session, rater_id: UUID) -> Rater:
    """A rater; NotFoundError when there is none."""
    row = repository.get_rater(session, rater_id=rater_id, is_locked=False)
    return rater_of_row(row, *repository.votes_of_rater(session, rater_id=rater_id))


def etag_of_rater(rater: Rater) -> str:
    """A rater's entity tag, of all that can be edited: it changes with every edit, and not with votes."""
    edited = rater.model_dump_json(include=set(RaterEdit.model_fields))
    return f'"{hashlib.sha256(edited.encode()).hexdigest()[:16]}"'


def edit_rater(session: Session, rater_id: UUID, changes: RaterEdit, if_match: str | None) -> Rater:
    """Changes what is known of a rater; their votes stay, and where they count no more their pairs want others.

    Raises:
        NotFoundError: when there is no such rater.
        OutdatedError: when `if_match` names another state than the present one.
    """
    row = repository.get_rater(session, rater_id=rater_id)
    if if_match is not None and if_match.strip() not in ("*", etag_of_rater(rater_of_row(row, 0, None))):
        raise OutdatedError(f"rater {rater_id} was edited since it was read: read it again, then repeat the change")
    for name, value in changes.model_dump(exclude_none=True).items():
        setattr(row, name, value)
    session.flush()
    if changes.is_excluded is not None:
        repository.recount_pairs(session, rater_id=rater_id)
    return rater_of_row(row, *repository.votes_of_rater(session, rater_id=rater_id))


def tasks_of(session: Session, rows: Sequence[LabelTaskRow]) -> list[LabelTask]:
    """Tasks with their counts."""
    counts = repository.counts_of(session, [row.id for row in rows])
    return [_task_of_row(row, counts[row.id]) for row in rows]


def rater_of_row(row: RaterRow, num_votes: int, last_vote_at: datetime | None) -> Rater:
    """A rater as the API shows it."""
    return Rater(
        id=row.id,
        label_task_id=row.label_task_id,
        label=row.label,
        is_simulated=row.is_simulated,
        is_excluded=row.is_excluded,
        is_revoked=row.is_revoked,
        num_votes=num_votes,
        last_vote_at=last_vote_at,
        created_at=row.created_at,
    )


def vote_of_row(vote: VoteRow, pair: LabelPairRow, rater: RaterRow) -> Vote:
    """A vote as the task's owner sees it."""
    return Vote(
        id=vote.id,
        pair_id=pair.id,
        pair_index=pair.index,
        prompt=pair.prompt,
        task=pair.task,
        side_0=PairSide.model_validate(pair.side_0),
        side_1=PairSide.model_validate(pair.side_1),
        outcome=VoteOutcome(vote.outcome),
        choice=Choice(vote.choice),
        is_swapped=vote.is_swapped,
        latency_ms=vote.latency_ms,
        rater_id=rater.id,
        is_simulated=rater.is_simulated,
        is_gold=pair.is_gold,
        known=None if pair.known is None else VoteOutcome(pair.known),
        guideline_version=vote.guideline_version,
        created_at=vote.created_at,
        undone_at=vote.undone_at,
    )


def flag_of_row(flag: PairFlagRow, pair: LabelPairRow) -> PairFlag:
    """A flag as the task's owner sees it."""
    return PairFlag(
        id=flag.id,
        pair_id=pair.id,
        rater_id=flag.rater_id,
        prompt=pair.prompt,
        sample_0=pair.side_0["sample_id"],
        sample_1=pair.side_1["sample_id"],
        reason=flag.reason,
        created_at=flag.created_at,
    )


def _task_of_row(row: LabelTaskRow, counts: repository.TaskCounts) -> LabelTask:
    return LabelTask(
        id=row.id,
        name=row.name,
        guideline=row.guidelines[-1],
        guideline_version=len(row.guidelines),
        source=PairSourceConfig.model_validate(row.source),
        strategy=PairStrategy(row.strategy),
        votes_per_pair=row.votes_per_pair,
        status=TaskStatus(row.status),
        num_pairs=counts.num_pairs,
        num_gold=counts.num_gold,
        num_votes=counts.num_votes,
        num_simulated_votes=counts.num_simulated_votes,
        num_votes_wanted=counts.num_pairs * row.votes_per_pair,
        num_flags=counts.num_flags,
        num_raters=counts.num_raters,
        created_at=row.created_at,
    )
