"""SQL on pair sets: which runs name one. The sets themselves lie on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.models import RunRow


def runs_that_use(session: Session, *, sha256: str) -> Sequence[UUID]:
    """Runs whose configuration learns from a set, the newest first."""
    query = select(RunRow.id).where(RunRow.config["pairs"]["source"].astext == sha256)
    return session.scalars(query.order_by(RunRow.created_at.desc(), RunRow.id.desc())).all()
