"""People's choices on a run's samples, joined by sample."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session


def votes_of(session: Session, *, run_id: UUID) -> tuple[list[dict[str, Any]], set[UUID]]:
    """The votes on pairs with a sample of the run, and the groups of the samples that were voted on."""
    return [], set()
