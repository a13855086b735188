"""/api/v1/evaluations: base and tuned, as figures and as pairs of pictures."""

from __future__ import annotations

import math
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.dependencies import After, Limit, RunsDirDep, SessionDep, decode_cursor, encode_cursor
from backend.evaluations import overlap, repository, service
from backend.evaluations.repository import PairPlace
from backend.schemas.base import Page
from backend.schemas.evaluation import Comparison, PairOrder, SamplePair
from backend.schemas.overlap import Overlap

router = APIRouter(tags=["evaluations"])


@router.get("/evaluations/{run_id}")
def get_comparison(session: SessionDep, run_id: UUID) -> Comparison:
    """What an evaluate run with a base has measured. 409 where the run compares nothing."""
    return service.compare(session, run_id)


@router.get("/evaluations/{run_id}/overlap")
def get_overlap(session: SessionDep, runs_dir: RunsDirDep, run_id: UUID) -> Overlap:
    """Which of its prompts the policies were trained on, through every run that they come from."""
    return overlap.overlap_of(session, runs_dir, run_id)


@router.get("/evaluations/{run_id}/pairs")
def list_pairs(
    session: SessionDep,
    run_id: UUID,
    order: PairOrder = PairOrder.WORST,
    task: Annotated[str | None, Query(max_length=40, description="Only pairs of this task")] = None,
    limit: Limit = 20,
    after: After = None,
) -> Page[SamplePair]:
    """Pictures of one prompt and seed by base and policy, the worst regressions first unless asked otherwise."""
    service.get_evaluation(session, run_id)
    place = decode_cursor(after, _finite, int, int)
    rows = repository.list_pairs(
        session,
        run_id=run_id,
        order=order,
        limit=limit + 1,
        after=None if place is None else PairPlace(*place),
        task=task,
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    last = shown[-1].place if has_more else None
    cursor = None if last is None else encode_cursor(last.difference, last.group_index, last.index)
    return Page(data=[service.pair_of(each) for each in shown], has_more=has_more, next_cursor=cursor)


def _finite(difference: float) -> float:
    if not math.isfinite(float(difference)):
        raise ValueError("no pair's difference is infinite")
    return float(difference)
