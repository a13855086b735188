"""/api/v1/preflight: what a run would need, before it is launched."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from backend.catalogue import repository
from backend.dependencies import RunsDirDep, SessionDep
from backend.evaluations.overlap import own_texts, warning_of
from backend.preflight import service
from backend.runs.aliases import freeze
from backend.schemas.config import TrainConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.preflight import Preflight, PreflightRequest

router = APIRouter(tags=["preflight"])


@router.post("/preflight")
def preflight_run(session: SessionDep, runs_dir: RunsDirDep, wanted: PreflightRequest) -> Preflight:
    """Memory by part, time a step, and what to change where it does not fit; nothing is run."""
    workers = [row.to_wire() for row in repository.list_workers(session)]
    frozen = wanted.model_copy(update={"config": freeze(session, wanted.config)})
    found = service.preflight(_with_texts(frozen, runs_dir), workers, runs_dir)
    if isinstance(frozen.config, EvaluateConfig) and (warning := warning_of(session, runs_dir, frozen.config)):
        return found.model_copy(update={"notes": (warning, *found.notes)})
    return found


def _with_texts(wanted: PreflightRequest, runs_dir: Path) -> PreflightRequest:
    """The request with a prompt set's own prompts, so that they are counted; one that is gone is refused at launch."""
    config = wanted.config
    if not isinstance(config, TrainConfig | SampleConfig | EvaluateConfig) or not config.prompts.prompt_set:
        return wanted
    texts = own_texts(config.prompts, runs_dir)
    prompts = config.prompts.model_copy(update={"texts": texts, "prompt_set": ""})
    return wanted.model_copy(update={"config": config.model_copy(update={"prompts": prompts})})
