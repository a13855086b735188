"""A run's events, numbered from 1 without gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row
from backend.schemas.event import Event, event_body_adapter


class EventRow(Row):
    """One event, as its attempt told it; groups lie in rows of their own, not in the body."""

    __tablename__ = "event"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def to_wire(self) -> Event:
        """The event as it is streamed."""
        return Event(
            run_id=self.run_id,
            seq=self.seq,
            attempt=self.attempt,
            created_at=self.created_at,
            body=event_body_adapter.validate_python(self.body, extra="ignore"),
        )
