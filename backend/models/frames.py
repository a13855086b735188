"""Who asked for a sample's decoded frames and what became of it. Whether they are there, the run's folder says."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row
from backend.schemas.sample import FramesState

_STATES = ", ".join(f"'{state.value}'" for state in FramesState if state is not FramesState.COMPOSED)


class FramesRow(Row):
    """A request for one sample's frames; it goes with the sample when a resumed run makes that anew."""

    __tablename__ = "sample_frames"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        # What is unfinished is looked for every few seconds.
        Index("ix_sample_frames_unfinished", "state", postgresql_where=text("state IN ('queued', 'decoding')")),
    )

    sample_id: Mapped[UUID] = mapped_column(ForeignKey("sample.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str] = mapped_column(Text, default=FramesState.QUEUED.value)
    num_done: Mapped[int] = mapped_column(server_default=text("0"))
    # How often a worker took it in hand: what kills its worker again and again is not tried for ever.
    num_tries: Mapped[int] = mapped_column(server_default=text("0"))
    worker: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    # When a message last reached the broker; null = never.
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
