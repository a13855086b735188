"""/api/v1/label-tasks/{id}/results: what the votes say so far."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.dependencies import SessionDep
from backend.preferences.results import KeptResults
from backend.schemas.vote_figures import LabelResults

router = APIRouter(tags=["preferences"])

ExcludeRater = Annotated[
    list[UUID] | None, Query(max_length=1000, description="Left out, beside raters that are excluded; may be repeated")
]

_kept = KeptResults()


@router.get("/label-tasks/{task_id}/results")
def get_label_results(session: SessionDep, task_id: UUID, exclude_rater: ExcludeRater = None) -> LabelResults:
    """Figures of all votes as they are now: win rates, strengths, agreement, and each rater.

    Raters that are programs are counted and marked; a figure of both is of both.
    """
    return _kept.get(session, task_id, exclude_rater or ())
