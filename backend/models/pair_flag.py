"""The pairs that raters found something wrong with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row


class PairFlagRow(Row):
    """One flag."""

    __tablename__ = "pair_flag"
    __table_args__ = (Index("ix_pair_flag_pair_id", "pair_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    pair_id: Mapped[UUID] = mapped_column(ForeignKey("label_pair.id", ondelete="CASCADE"))
    rater_id: Mapped[UUID] = mapped_column(ForeignKey("rater.id", ondelete="CASCADE"))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
