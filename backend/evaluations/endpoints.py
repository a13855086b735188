"""/api/v1/evaluations: base and tuned, as figures and as pairs of pictures."""

from __future__ import annotations

import math
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from backend.dependencies import After, Limit, RunsDirDep, SessionDep, decode_cursor, encode_cursor
from backend.evaluations import overlap, repository, service
from backend.evaluations.export_csv import csv_lines
from backend.evaluations.repository import PairChoice, PairPlace
from backend.schemas.base import Page
from backend.schemas.evaluation import Comparison, PairOrder, PairTally, SamplePair
from backend.schemas.overlap import Overlap

router = APIRouter(tags=["evaluations"])


Label = Annotated[str, Query(max_length=40, description="One of the evaluation's policies, by its label")]
Bound = Annotated[float | None, Query(allow_inf_nan=False, description="Of the policy's reward minus the base's")]


def chosen_pairs(
    session: SessionDep,
    run_id: UUID,
    base: Label = repository.BASE,
    policy: Label = repository.POLICY,
    order: PairOrder = PairOrder.WORST,
    task: Annotated[str | None, Query(max_length=40, description="Only pairs of this task")] = None,
    min_difference: Bound = None,
    max_difference: Bound = None,
) -> PairChoice:
    """Which pairs of the evaluation a request means. 409 where it compares nothing, 422 where no pair can be meant."""
    _, config = service.get_evaluation(session, run_id)
    choice = PairChoice(base, policy, order, task, min_difference, max_difference)
    return service.checked_choice(config, choice)


ChoiceDep = Annotated[PairChoice, Depends(chosen_pairs)]


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
    session: SessionDep, run_id: UUID, choice: ChoiceDep, limit: Limit = 20, after: After = None
) -> Page[SamplePair]:
    """Pictures of one prompt and seed by base and policy, the worst regressions first unless asked otherwise."""
    place = decode_cursor(after, _finite, int, int)
    rows = repository.list_pairs(
        session,
        run_id=run_id,
        choice=choice,
        limit=limit + 1,
        after=None if place is None else PairPlace(*place),
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    last = shown[-1].place if has_more else None
    cursor = None if last is None else encode_cursor(last.difference, last.group_index, last.index)
    return Page(data=service.pairs_of(session, run_id, choice, shown), has_more=has_more, next_cursor=cursor)


@router.get("/evaluations/{run_id}/export", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def export_pairs(session: SessionDep, run_id: UUID, choice: ChoiceDep, format: Literal["csv"] = "csv") -> Response:
    """All stored pairs of two policies as a table, in the order of their prompts."""
    lines = csv_lines(repository.stream_pairs(session, run_id=run_id, choice=choice))
    # Read here, while the transaction is open; 10,000 pairs are 3 MB.
    content = "".join(lines)
    headers = {"Content-Disposition": f'attachment; filename="comparison-{str(run_id)[-8:]}.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/evaluations/{run_id}/pairs/tally")
def tally_pairs(session: SessionDep, run_id: UUID, choice: ChoiceDep) -> PairTally:
    """How many pairs such a choice leaves over, and how they fared."""
    counts = repository.count_pairs(session, run_id=run_id, choice=choice)
    return PairTally(
        num_pairs=counts.num_pairs, num_wins=counts.num_wins, num_losses=counts.num_losses, tasks=counts.tasks
    )


@router.get("/evaluations/{run_id}/pairs/{sample_id}")
def get_pair(session: SessionDep, run_id: UUID, sample_id: UUID, choice: ChoiceDep) -> SamplePair:
    """The pair of which a sample is either picture; order, task and bounds do not matter."""
    return service.find_pair(session, run_id, choice, sample_id)


def _finite(difference: float) -> float:
    if not math.isfinite(float(difference)):
        raise ValueError("no pair's difference is infinite")
    return float(difference)
