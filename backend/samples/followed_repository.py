"""All SQL on prompts that come again at later steps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from backend.models import GroupRow
from backend.schemas.sample import FollowedPrompt


def list_prompts(
    session: Session, *, run_id: UUID, purpose: str, limit: int, after: str | None = None
) -> list[FollowedPrompt]:
    """Prompts with two groups or more, in the order of their text."""
    query = (
        select(GroupRow.prompt, func.max(GroupRow.task), func.count(), func.min(GroupRow.step), func.max(GroupRow.step))
        .where(GroupRow.run_id == run_id, GroupRow.purpose == purpose)
        .group_by(GroupRow.prompt)
        .having(func.count() > 1)
        .order_by(GroupRow.prompt)
        .limit(limit)
    )
    if after is not None:
        query = query.where(GroupRow.prompt > after)
    return [
        FollowedPrompt(prompt=prompt, task=task, num_groups=count, first_step=first, last_step=last)
        for prompt, task, count, first, last in session.execute(query)
    ]


def list_groups(
    session: Session, *, run_id: UUID, purpose: str, prompt: str, limit: int, after: tuple[Any, ...] | None = None
) -> Sequence[GroupRow]:
    """A prompt's groups by step, policy and place."""
    place = tuple_(GroupRow.step, GroupRow.policy, GroupRow.index)
    query = select(GroupRow).where(GroupRow.run_id == run_id, GroupRow.purpose == purpose, GroupRow.prompt == prompt)
    if after is not None:
        query = query.where(place > after)
    return session.scalars(query.order_by(GroupRow.step, GroupRow.policy, GroupRow.index).limit(limit)).all()
