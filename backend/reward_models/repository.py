"""All SQL on reward models: which runs train on one."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from backend.models import RunRow
from backend.schemas.every_run import RunKind
from backend.schemas.reward import RewardName

MOST_USERS = 100


def used_by(session: Session, *, run_ids: Collection[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    """The runs that train on each of these reward models, the newest first."""
    if not run_ids:
        return {}
    parts = {run_id: {"name": RewardName.LEARNED.value, "source": f"run:{run_id}"} for run_id in run_ids}
    names_one = or_(*(RunRow.config["rewards"].contains([part]) for part in parts.values()))
    query = (
        select(RunRow.id, RunRow.config["rewards"])
        .where(RunRow.kind == RunKind.TRAIN, names_one)
        .order_by(RunRow.created_at.desc())
    )
    found: dict[UUID, list[UUID]] = {run_id: [] for run_id in run_ids}
    for user, rewards in session.execute(query):
        for reward in rewards:
            run_id = next((each for each, part in parts.items() if part["source"] == reward.get("source")), None)
            if run_id is not None and len(found[run_id]) < MOST_USERS:
                found[run_id].append(user)
    return {run_id: tuple(users) for run_id, users in found.items()}
