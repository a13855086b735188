"""Prompt sets and their versions. The prompts themselves lie in files, named by the hash that a version holds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row
from backend.schemas.prompt_set import PromptSetVersion


class PromptSetRow(Row):
    """A set by its name."""

    __tablename__ = "prompt_set"
    __table_args__ = (Index("ix_prompt_set_created_at_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(Text)
    # Grows by one with each edit: what If-Match is compared with.
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class PromptSetVersionRow(Row):
    """One state of a set; never changed."""

    __tablename__ = "prompt_set_version"

    prompt_set_id: Mapped[UUID] = mapped_column(ForeignKey("prompt_set.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(Text, index=True)
    num_prompts: Mapped[int]
    num_duplicates: Mapped[int]
    tasks: Mapped[dict[str, int]] = mapped_column(JSONB)
    note: Mapped[str] = mapped_column(Text, server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def to_wire(self) -> PromptSetVersion:
        """The version as everyone sees it."""
        return PromptSetVersion(
            version=self.version,
            sha256=self.sha256,
            num_prompts=self.num_prompts,
            num_duplicates=self.num_duplicates,
            tasks=self.tasks,
            note=self.note,
            created_at=self.created_at,
        )
