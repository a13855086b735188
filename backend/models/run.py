"""The run row, the truth about a run. Who may write it when is the repository's matter."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row
from backend.recipes.loading import changed_settings
from backend.schemas.config import run_config_adapter
from backend.schemas.every_run import RunKind
from backend.schemas.run import RequestFlags, Run, RunStatus

_STATUSES = ", ".join(f"'{status.value}'" for status in RunStatus)


class RunRow(Row):
    """A run: what was asked for, where it stands, who holds it."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        Index("ix_run_created_at_id", "created_at", "id"),
        Index("ix_run_status", "status", "created_at", "id"),
        Index("ix_run_tags", "tags", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, default=RunStatus.QUEUED.value)
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    recipe: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    parent_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"))
    # Grows by one when a person edits the name or the tags: what If-Match is compared with.
    revision: Mapped[int] = mapped_column(server_default=text("1"))

    # The fencing token, and until when its holder is believed alive.
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    lease_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    worker: Mapped[str | None] = mapped_column(Text)
    # Attempts that were lost in a row without a step beyond `best_step`.
    num_lost: Mapped[int] = mapped_column(server_default=text("0"))

    step: Mapped[int] = mapped_column(server_default=text("0"))
    best_step: Mapped[int] = mapped_column(server_default=text("0"))
    num_steps: Mapped[int] = mapped_column(server_default=text("0"))
    num_events: Mapped[int] = mapped_column(server_default=text("0"))
    latest_metrics: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    seconds_per_step: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)

    is_cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    is_pause_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    is_save_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    is_sample_requested: Mapped[bool] = mapped_column(server_default=text("false"))

    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    # When a message for this run last reached the broker; null = never.
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    @property
    def run_status(self) -> RunStatus:
        """The status as the dictionary's word."""
        return RunStatus(self.status)

    @property
    def flags(self) -> RequestFlags:
        """What was asked of the run."""
        return RequestFlags(
            is_cancel_requested=self.is_cancel_requested,
            is_pause_requested=self.is_pause_requested,
            is_save_requested=self.is_save_requested,
            is_sample_requested=self.is_sample_requested,
        )

    @property
    def eta_seconds(self) -> float | None:
        """The time that the remaining steps will take, when they go as fast as the last ones."""
        if self.status != RunStatus.RUNNING or self.seconds_per_step is None or self.num_steps == 0:
            return None
        return max(self.num_steps - self.step, 0) * self.seconds_per_step

    def to_wire(self) -> Run:
        """The run as everyone sees it."""
        # A field that a newer version no longer has must not hide the runs of an older one.
        config = run_config_adapter.validate_python(self.config, extra="ignore")
        return Run(
            id=self.id,
            kind=RunKind(self.kind),
            name=self.name,
            status=self.run_status,
            flags=self.flags,
            config=config,
            recipe=self.recipe,
            recipe_changes=changed_settings(self.recipe, config),
            tags=tuple(self.tags),
            parent_run_id=self.parent_run_id,
            attempt=self.attempt,
            step=self.step,
            num_steps=self.num_steps,
            num_events=self.num_events,
            error=self.error,
            worker=self.worker,
            latest_metrics=self.latest_metrics,
            eta_seconds=self.eta_seconds,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            lease_expires_at=self.lease_expires_at,
        )
