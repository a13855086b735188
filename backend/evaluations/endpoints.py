"""/api/v1/evaluations: base and tuned, as figures and as pairs of pictures."""

from __future__ import annotations

import math
import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from backend.dependencies import After, Limit, RunsDirDep, SessionDep, decode_cursor, encode_cursor, sessions_of
from backend.evaluations import overlap, repository, service
from backend.evaluations.report.gather import gather_report
from backend.evaluations.report.page import write_report
from backend.evaluations.repository import PairChoice, PairPlace
from backend.evaluations.table import write_table
from backend.schemas.base import Page
from backend.schemas.evaluation import Comparison, ExportFormat, PairOrder, PairTally, SamplePair
from backend.schemas.overlap import Overlap

router = APIRouter(tags=["evaluations"])


Label = Annotated[str, Query(max_length=40, description="One of the evaluation's policies, by its label")]
Against = Annotated[
    str | None,
    Query(max_length=40, description="The policy that the others are compared to, by its label; default: the first"),
]
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
EXPORTED: dict[int | str, dict[str, object]] = {
    200: {"description": "The file, sent while it is made", "content": {"text/csv": {}, "text/html": {}}}
}


@router.get("/evaluations/{run_id}")
def get_comparison(session: SessionDep, runs_dir: RunsDirDep, run_id: UUID, base: Against = None) -> Comparison:
    """What an evaluate run has measured of its policies. 409 where the run compares nothing, 422 without that policy.

    The job tells every difference to the first policy; to another one they are computed of the stored samples, by the
    same paired bootstrap from the same seeds, which takes some tenths of a second once.
    """
    return service.compare(session, runs_dir, run_id, base)


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


@router.get("/evaluations/{run_id}/pairs/tally")
def tally_pairs(session: SessionDep, run_id: UUID, choice: ChoiceDep) -> PairTally:
    """How many pairs such a choice leaves over, and how they fared."""
    return service.tally(session, run_id, choice)


@router.get("/evaluations/{run_id}/pairs/{sample_id}")
def get_pair(session: SessionDep, run_id: UUID, sample_id: UUID, choice: ChoiceDep) -> SamplePair:
    """The pair of which a sample is either picture; order, task and bounds do not matter."""
    return service.find_pair(session, run_id, choice, sample_id)


@router.get("/evaluations/{run_id}/export", response_class=StreamingResponse, responses=EXPORTED)
def export_comparison(
    request: Request,
    session: SessionDep,
    runs_dir: RunsDirDep,
    run_id: UUID,
    choice: ChoiceDep,
    format: Annotated[
        ExportFormat, Query(description="csv: a line a pair; html: a report in one file")
    ] = ExportFormat.CSV,
    num_pairs: Annotated[int, Query(ge=0, le=100, description="Of html: at most so many worst and best pairs")] = 24,
) -> StreamingResponse:
    """The comparison as a file, sent while it is made: all pairs as a table, or a report that opens from the disk.

    Order matters to neither; task and bounds choose pairs of both.
    """
    row, config = service.get_evaluation(session, run_id)
    if format is ExportFormat.CSV:
        content = write_table(sessions_of(request), run_id, config, choice)
        media_type = "text/csv; charset=utf-8"
    else:
        content = write_report(gather_report(session, runs_dir, run_id, choice, num_pairs), runs_dir)
        media_type = "text/html; charset=utf-8"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", row.name).strip("-.")[:60] or "comparison"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-{str(run_id)[-8:]}.{format}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(content, media_type=media_type, headers=headers)


def _finite(difference: float) -> float:
    if not math.isfinite(float(difference)):
        raise ValueError("no pair's difference is infinite")
    return float(difference)
