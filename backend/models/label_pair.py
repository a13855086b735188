"""The pairs of the label tasks. They keep what was known of both samples, so that no later run can take it away."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db import Row


class LabelPairRow(Row):
    """Two pictures of one prompt. Its id is random: it is all that a rater learns of it."""

    __tablename__ = "label_pair"
    __table_args__ = (UniqueConstraint("label_task_id", "index"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    label_task_id: Mapped[UUID] = mapped_column(ForeignKey("label_task.id", ondelete="CASCADE"))
    index: Mapped[int]
    prompt: Mapped[str] = mapped_column(Text)
    task: Mapped[str | None] = mapped_column(Text)
    # Each a `PairSide`.
    side_0: Mapped[dict[str, Any]] = mapped_column(JSONB)
    side_1: Mapped[dict[str, Any]] = mapped_column(JSONB)
    is_gold: Mapped[bool]
    known: Mapped[str | None] = mapped_column(Text)
    # Votes that stand, without skips and without those of excluded raters, and how much of them is for the first
    # picture: written with every vote, and when a rater is excluded or taken back in.
    num_votes: Mapped[int] = mapped_column(server_default=text("0"))
    sum_first: Mapped[float] = mapped_column(server_default=text("0"))
