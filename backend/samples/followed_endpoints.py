"""/api/v1/runs/{id}/prompts: prompts whose pictures a run stored more than once, and each one's from step to step."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.dependencies import After, Limit, SessionDep, decode_cursor, encode_cursor
from backend.runs import repository as runs
from backend.samples import followed_repository, repository
from backend.samples.wire import group_of
from backend.schemas.base import Page
from backend.schemas.sample import FollowedPrompt, Group

router = APIRouter(tags=["samples"])

Purpose = Annotated[str, Query(max_length=40, description="probe, sample_now, train, ...: what the pictures are for")]


@router.get("/runs/{run_id}/prompts")
def list_followed_prompts(
    session: SessionDep, run_id: UUID, purpose: Purpose = "probe", limit: Limit = 20, after: After = None
) -> Page[FollowedPrompt]:
    """Prompts of which pictures of several steps, or policies, are stored; in their own order."""
    runs.get_run(session, run_id=run_id)
    place = decode_cursor(after, str)
    found = followed_repository.list_prompts(
        session, run_id=run_id, purpose=purpose, limit=limit + 1, after=None if place is None else place[0]
    )
    has_more, shown = len(found) > limit, found[:limit]
    cursor = encode_cursor(shown[-1].prompt) if has_more else None
    return Page(data=shown, has_more=has_more, next_cursor=cursor)


@router.get("/runs/{run_id}/prompts/groups")
def list_groups_of_prompt(
    session: SessionDep,
    run_id: UUID,
    prompt: Annotated[str, Query(min_length=1, max_length=1000)],
    purpose: Purpose = "probe",
    limit: Limit = 20,
    after: After = None,
) -> Page[Group]:
    """One prompt's groups from step to step; of probes, their seeds are the same at every step."""
    runs.get_run(session, run_id=run_id)
    place = decode_cursor(after, int, str, int)
    rows = followed_repository.list_groups(
        session, run_id=run_id, purpose=purpose, prompt=prompt, limit=limit + 1, after=place
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    samples = repository.samples_of(session, group_ids=[row.id for row in shown])
    cursor = encode_cursor(shown[-1].step, shown[-1].policy, shown[-1].index) if has_more else None
    return Page(data=[group_of(row, samples[row.id]) for row in shown], has_more=has_more, next_cursor=cursor)
