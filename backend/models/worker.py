"""The workers that were heard from."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row
from backend.schemas.run import Worker


class WorkerRow(Row):
    """A worker process and what it holds."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    # Which queue it serves: only a worker of the runs' queue is shown as one.
    queue: Mapped[str] = mapped_column(Text, server_default=text("'runs'"))
    run_id: Mapped[UUID | None]
    device: Mapped[str] = mapped_column(Text)
    num_cores: Mapped[int]
    memory_gib: Mapped[float]
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def to_wire(self) -> Worker:
        """The worker as everyone sees it."""
        return Worker(
            name=self.name,
            run_id=self.run_id,
            device=self.device,
            num_cores=self.num_cores,
            memory_gib=self.memory_gib,
            seen_at=self.seen_at,
        )
