"""Creates once for an Idempotency-Key: answers are kept for a day, and a repeat of a request gets the first one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import IdempotencyRow
from backend.schemas.base import FieldProblem

KEPT_FOR = timedelta(days=1)

Wire = TypeVar("Wire", bound=BaseModel)


def once(
    session: Session,
    key: str | None,
    request: str,
    kind: type[Wire],
    create: Callable[[], Wire],
    *,
    kept_as: str | None = None,
) -> Wire:
    """Creates, or gives the answer that the same request got before under this key.

    Args:
        session: of the transaction that creates.
        key: the header's; None = creates each time.
        request: all that tells this request from another.
        kind: of the answer.
        create: makes the thing and gives the answer.
        kept_as: what stands for the key in the database, where that must not know it; None = the key itself.

    Raises:
        MalformedError: when the key came with another request before.
    """
    if key is None:
        return create()
    body_hash = hashlib.sha256(request.encode()).hexdigest()
    kept_as = kept_as or key
    earlier = _take_key(session, kept_as, body_hash)
    if earlier is not None and earlier.body_hash != body_hash:
        problem = FieldProblem(pointer="/header/Idempotency-Key", message="was used with another request")
        raise MalformedError(f"Idempotency-Key {key!r} came with another request before: use a new key", (problem,))
    if earlier is not None and earlier.response is not None:
        return kind.model_validate(earlier.response)
    made = create()
    response = made.model_dump(mode="json")
    session.execute(update(IdempotencyRow).where(IdempotencyRow.key == kept_as).values(response=response))
    return made


def _take_key(session: Session, key: str, body_hash: str) -> IdempotencyRow | None:
    """Takes a key for this transaction; gives the earlier answer's row when it was taken before.

    A second request with the key waits here until the first one's transaction has ended.
    """
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < func.now() - KEPT_FOR))
    query = upsert(IdempotencyRow).values(key=key, body_hash=body_hash).on_conflict_do_nothing()
    if session.scalar(query.returning(IdempotencyRow.key)) is not None:
        return None
    return session.scalars(select(IdempotencyRow).where(IdempotencyRow.key == key)).one()
