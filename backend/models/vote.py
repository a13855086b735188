"""The votes, each under the UUID that its rater's browser gave it. An undone vote keeps its row."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row


class VoteRow(Row):
    """One vote of one rater on one pair; of those that stand there is at most one."""

    __tablename__ = "vote"
    __table_args__ = (
        Index("uq_vote_standing", "rater_id", "pair_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("ix_vote_label_task_id_created_at_id", "label_task_id", "created_at", "id"),
        Index("ix_vote_pair_id", "pair_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    label_task_id: Mapped[UUID] = mapped_column(ForeignKey("label_task.id", ondelete="CASCADE"))
    pair_id: Mapped[UUID] = mapped_column(ForeignKey("label_pair.id", ondelete="CASCADE"))
    rater_id: Mapped[UUID] = mapped_column(ForeignKey("rater.id", ondelete="CASCADE"))
    choice: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    is_swapped: Mapped[bool]
    latency_ms: Mapped[int]
    guideline_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
