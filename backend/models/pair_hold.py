"""Which pairs are in whose hands: shown to a rater and not voted on yet."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row


class PairHoldRow(Row):
    """A rater's hold on a pair, good until it expires: others are not asked for a vote that this one will give."""

    __tablename__ = "pair_hold"
    __table_args__ = (Index("ix_pair_hold_rater_id", "rater_id"),)

    pair_id: Mapped[UUID] = mapped_column(ForeignKey("label_pair.id", ondelete="CASCADE"), primary_key=True)
    rater_id: Mapped[UUID] = mapped_column(ForeignKey("rater.id", ondelete="CASCADE"), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
