"""/api/v1/rewards and /api/v1/reward-models: what a run can be trained on, and what the learned ones are worth."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter

from backend.dependencies import After, Limit, RunsDirDep, SessionDep, decode_cursor, encode_cursor
from backend.reward_models import service
from backend.runs import repository as runs
from backend.schemas.base import Page
from backend.schemas.every_run import RunKind
from backend.schemas.known_reward import KnownReward, RewardModel

router = APIRouter(tags=["rewards"])


@router.get("/rewards")
def list_rewards(session: SessionDep, runs_dir: RunsDirDep) -> Page[KnownReward]:
    """Every reward by name: what it rewards, what it needs, and whether that is on the studio's machine."""
    return Page(data=service.list_rewards(session, runs_dir), has_more=False)


@router.get("/reward-models")
def list_reward_models(
    session: SessionDep, runs_dir: RunsDirDep, limit: Limit = 20, after: After = None
) -> Page[RewardModel]:
    """Reward models in training and finished, the newest first."""
    place = decode_cursor(after, datetime.fromisoformat, UUID)
    rows = runs.list_runs(
        session,
        limit=limit + 1,
        after=None if place is None else (place[0], place[1]),
        kinds=(RunKind.REWARD_MODEL,),
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].id) if has_more else None
    return Page(data=service.reward_models(session, runs_dir, shown), has_more=has_more, next_cursor=cursor)


@router.get("/reward-models/{run_id}")
def get_reward_model(session: SessionDep, runs_dir: RunsDirDep, run_id: UUID) -> RewardModel:
    """One reward model: its report, what it was made of, and which runs train on it. 409 where the run makes none."""
    return service.get_reward_model(session, runs_dir, run_id)
