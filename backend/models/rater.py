"""The raters of the label tasks; of their links the studio keeps a hash."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row


class RaterRow(Row):
    """One rater of one task."""

    __tablename__ = "rater"
    __table_args__ = (Index("ix_rater_label_task_id_id", "label_task_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    label_task_id: Mapped[UUID] = mapped_column(ForeignKey("label_task.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    # Makes this rater's order of pairs: an odd number below 2^31.
    shuffle: Mapped[int]
    is_simulated: Mapped[bool] = mapped_column(server_default=text("false"))
    is_excluded: Mapped[bool] = mapped_column(server_default=text("false"))
    is_revoked: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
