"""/api/v1/runs/{id}/bundle: a run in one file, sent while it is made."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from backend.artifacts import run_folder
from backend.bundles.contents import Choice, piecewise
from backend.dependencies import RunsDirDep, SessionDep, sessions_of
from backend.runs import repository as runs

router = APIRouter(tags=["runs"])


@router.get(
    "/runs/{run_id}/bundle",
    response_class=StreamingResponse,
    responses={200: {"description": "A zip archive", "content": {"application/zip": {}}}},
)
def get_bundle(
    request: Request,
    session: SessionDep,
    runs_dir: RunsDirDep,
    run_id: UUID,
    num_groups: Annotated[int, Query(ge=0, le=10_000, description="Groups whose pictures are in it")] = 24,
    inputs: Annotated[bool, Query(description="With what the run was made from, where it is not shipped")] = True,
    weights: Annotated[bool, Query(description="With what the run exported")] = False,
) -> StreamingResponse:
    """Everything of a run in one file with the hash of each part: `unmask bundle verify` and `replay` read it."""
    runs.get_run(session, run_id=run_id)
    choice = Choice(num_groups=num_groups, has_inputs=inputs, has_weights=weights)
    folder = run_folder(runs_dir, run_id)
    pieces = piecewise(sessions_of(request), lambda own: runs.get_run(own, run_id=run_id), folder, choice)
    headers = {"Content-Disposition": f'attachment; filename="run-{run_id}.zip"'}
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)
