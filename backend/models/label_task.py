"""The label tasks: what people are asked to judge, and by which words."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row
from backend.schemas.preference import TaskStatus


class LabelTaskRow(Row):
    """One task; version n of its guideline is `guidelines[n - 1]`."""

    __tablename__ = "label_task"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'closed')", name="status"),
        Index("ix_label_task_created_at_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(Text)
    guidelines: Mapped[list[str]] = mapped_column(ARRAY(Text))
    source: Mapped[dict[str, Any]] = mapped_column(JSONB)
    strategy: Mapped[str] = mapped_column(Text)
    votes_per_pair: Mapped[int]
    status: Mapped[str] = mapped_column(Text, default=TaskStatus.OPEN.value)
    # Grows by one with each edit: what If-Match is compared with.
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
