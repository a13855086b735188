"""Answers kept under Idempotency-Keys for a day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from backend.models import IdempotencyRow

KEPT_FOR = timedelta(days=1)


def take_key(session: Session, *, key: str, body_hash: str) -> IdempotencyRow | None:
    """Takes a key for this transaction; gives the earlier answer's row when it was taken before.

    A second request with the key waits here until the first one's transaction has ended.
    """
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < func.now() - KEPT_FOR))
    query = upsert(IdempotencyRow).values(key=key, body_hash=body_hash).on_conflict_do_nothing()
    if session.scalar(query.returning(IdempotencyRow.key)) is not None:
        return None
    return session.scalars(select(IdempotencyRow).where(IdempotencyRow.key == key)).one()


def keep_answer(session: Session, *, key: str, response: dict[str, Any]) -> None:
    """Stores the answer that repeats of the request will get."""
    session.execute(update(IdempotencyRow).where(IdempotencyRow.key == key).values(response=response))
