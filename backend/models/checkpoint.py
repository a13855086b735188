"""The checkpoints that lie whole in a run's folder."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row
from backend.schemas.run import Checkpoint


class CheckpointRow(Row):
    """All that resuming needs, at one step."""

    __tablename__ = "checkpoint"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    sha256: Mapped[str] = mapped_column(Text)
    num_bytes: Mapped[int] = mapped_column(BigInteger)
    state_hash: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def to_wire(self) -> Checkpoint:
        """The checkpoint as everyone sees it."""
        return Checkpoint(
            run_id=self.run_id,
            step=self.step,
            attempt=self.attempt,
            sha256=self.sha256,
            num_bytes=self.num_bytes,
            state_hash=self.state_hash,
            created_at=self.created_at,
        )
