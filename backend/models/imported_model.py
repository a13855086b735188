"""Models from outside that a person entered: where each lies. Their files are never the studio's to delete."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from backend.db import Row


class ImportedModelRow(Row):
    """A folder or a hub name, with what people call it."""

    __tablename__ = "imported_model"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    source: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
