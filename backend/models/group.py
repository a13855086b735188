"""The groups of a run: the rollouts of one prompt at one step."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row


class GroupRow(Row):
    """One group; its id follows from its place, so a resumed run writes the same one."""

    __tablename__ = "sample_group"
    __table_args__ = (UniqueConstraint("run_id", "step", "purpose", "policy", "index"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    step: Mapped[int]
    purpose: Mapped[str] = mapped_column(Text)
    policy: Mapped[str] = mapped_column(Text)
    index: Mapped[int]
    prompt: Mapped[str] = mapped_column(Text)
    task: Mapped[str | None] = mapped_column(Text)
    mean_reward: Mapped[float | None]
    reward_std: Mapped[float | None]
    is_kept: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text)
    num_tries: Mapped[int]
    trajectory_path: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
