"""Aliases of models, and every move that one ever made. Which model a name means at a time, these two tables say."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row
from backend.schemas.registry import Alias, AliasKind, AliasMove


class AliasRow(Row):
    """A name that means one model now."""

    __tablename__ = "model_alias"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    target: Mapped[str] = mapped_column(Text, index=True)
    # Grows by one with every move, also over a deletion: what If-Match is compared with.
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def to_wire(self, kind: AliasKind) -> Alias:
        """The alias as everyone sees it; its kind is that of the model that it means."""
        return Alias(
            name=self.name,
            target=self.target,
            kind=kind,
            revision=self.revision,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class AliasMoveRow(Row):
    """One move of a name; what was told stays, also when the name is given up."""

    __tablename__ = "model_alias_move"
    __table_args__ = (Index("ix_model_alias_move_name", "name", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    # Null where the name was given up.
    target: Mapped[str | None] = mapped_column(Text)
    previous: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    def to_wire(self) -> AliasMove:
        """The move as everyone sees it."""
        return AliasMove(
            id=self.id,
            name=self.name,
            revision=self.revision,
            target=self.target,
            previous=self.previous,
            note=self.note,
            created_at=self.created_at,
        )
