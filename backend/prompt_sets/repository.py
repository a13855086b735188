"""All SQL on prompt sets: the sets, their versions, and the runs that name one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from backend.errors import NotFoundError
from backend.models import PromptSetRow, PromptSetVersionRow, RunRow

NUM_USERS = 100


def get_set(session: Session, *, set_id: UUID, is_locked: bool = False) -> PromptSetRow:
    """The set's row, held against every other editor until the transaction ends where that is asked.

    Raises:
        NotFoundError: when there is none.
    """
    row = session.get(PromptSetRow, set_id, populate_existing=True, with_for_update=is_locked or None)
    if row is None:
        raise NotFoundError(f"there is no prompt set {set_id}: list them with GET /api/v1/prompt-sets")
    return row


def list_sets(
    session: Session, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[tuple[PromptSetRow, PromptSetVersionRow]]:
    """Sets with their last versions, the newest first."""
    query = select(PromptSetRow).order_by(PromptSetRow.created_at.desc(), PromptSetRow.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(PromptSetRow.created_at, PromptSetRow.id) < after)
    rows = session.scalars(query).all()
    of_sets = select(PromptSetVersionRow).where(PromptSetVersionRow.prompt_set_id.in_([row.id for row in rows]))
    # In the order of their versions, so that the last one of each set stays.
    latest = {each.prompt_set_id: each for each in session.scalars(of_sets.order_by(PromptSetVersionRow.version))}
    return [(row, latest[row.id]) for row in rows]


def versions_of(session: Session, *, set_id: UUID) -> Sequence[PromptSetVersionRow]:
    """A set's versions, the newest first."""
    query = select(PromptSetVersionRow).where(PromptSetVersionRow.prompt_set_id == set_id)
    return session.scalars(query.order_by(PromptSetVersionRow.version.desc())).all()


def runs_that_use(session: Session, *, hashes: Collection[str]) -> Sequence[RunRow]:
    """Runs whose configuration names one of these versions, the newest first, at most a hundred."""
    query = select(RunRow).where(RunRow.config["prompts"]["prompt_set"].astext.in_(hashes))
    return session.scalars(query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(NUM_USERS)).all()


def needed_hashes(session: Session, *, hashes: Collection[str]) -> set[str]:
    """Those of the hashes that a version of any set has, or a run's configuration names."""
    stored = select(PromptSetVersionRow.sha256).where(PromptSetVersionRow.sha256.in_(hashes))
    named = RunRow.config["prompts"]["prompt_set"].astext
    return set(session.scalars(stored)) | set(session.scalars(select(named).where(named.in_(hashes)).distinct()))
