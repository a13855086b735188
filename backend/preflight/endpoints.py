"""/api/v1/preflight: what a run would need, before it is launched."""

from __future__ import annotations

from fastapi import APIRouter

from backend.catalogue import repository
from backend.dependencies import RunsDirDep, SessionDep
from backend.evaluations.overlap import warning_of
from backend.preflight import service
from backend.runs.aliases import freeze
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.preflight import Preflight, PreflightRequest

router = APIRouter(tags=["preflight"])


@router.post("/preflight")
def preflight_run(session: SessionDep, runs_dir: RunsDirDep, wanted: PreflightRequest) -> Preflight:
    """Memory by part, time a step, and what to change where it does not fit; nothing is run."""
    workers = [row.to_wire() for row in repository.list_workers(session)]
    frozen = wanted.model_copy(update={"config": freeze(session, wanted.config)})
    found = service.preflight(frozen, workers, runs_dir)
    if isinstance(frozen.config, EvaluateConfig) and (warning := warning_of(session, runs_dir, frozen.config)):
        return found.model_copy(update={"notes": (warning, *found.notes)})
    return found
