"""The samples of the groups: pictures with seed and rewards; the files lie in the run's folder."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row


class SampleRow(Row):
    """One sample of a group."""

    __tablename__ = "sample"
    __table_args__ = (
        UniqueConstraint("group_id", "index"),
        Index("ix_sample_run_id_step_index", "run_id", "step", "index"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    group_id: Mapped[UUID] = mapped_column(ForeignKey("sample_group.id", ondelete="CASCADE"))
    step: Mapped[int]
    index: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    reward: Mapped[float | None]
    reward_breakdown: Mapped[dict[str, Any]] = mapped_column(JSONB)
    advantage: Mapped[float | None]
    image_path: Mapped[str] = mapped_column(Text)
    image_sha256: Mapped[str] = mapped_column(Text)
    verdict: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
