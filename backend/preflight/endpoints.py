"""/api/v1/preflight: what a run would need, before it is launched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter

from backend.catalogue import repository
from backend.dependencies import RunsDirDep, SessionDep
from backend.evaluations.overlap import own_texts, warning_of
from backend.preflight import service
from backend.runs.aliases import freeze
from backend.runs.gone import refuse_gone
from backend.runs.needs import unmet_needs
from backend.runs.unseen import CURE, unseen_folders
from backend.schemas.config import RunConfig, TrainConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.preflight import Preflight, PreflightDevice, PreflightRequest

router = APIRouter(tags=["preflight"])


@router.post("/preflight")
def preflight_run(session: SessionDep, runs_dir: RunsDirDep, wanted: PreflightRequest) -> Preflight:
    """Memory by part, time a step, and what to change where it does not fit; nothing is run.

    A model of a run that is not there is refused as at the launch; what else would end the run is in `refusals`.
    """
    workers = [row.to_wire() for row in repository.list_workers(session)]
    frozen = wanted.model_copy(update={"config": freeze(session, wanted.config)})
    refuse_gone(session, frozen.config, runs_dir)
    found = service.preflight(_with_texts(frozen, runs_dir), workers, runs_dir)
    notes = [f"{message} {CURE}" for message in unseen_folders(frozen.config)]
    if isinstance(frozen.config, EvaluateConfig) and (warning := warning_of(session, runs_dir, frozen.config)):
        notes.append(warning)
    refusals = tuple(_refusals(frozen.config, found.device, runs_dir))
    return found.model_copy(update={"notes": (*notes, *found.notes), "refusals": refusals})


def _refusals(config: RunConfig, device: PreflightDevice, runs_dir: Path) -> Iterator[str]:
    unmet = [problem.message for problem in unmet_needs(config, runs_dir)]
    yield from unmet
    is_loaded = isinstance(config, TrainConfig | SampleConfig | EvaluateConfig)
    if not unmet and is_loaded and config.policy.is_compiled and device.kind == "cpu":
        yield (
            f"policy.is_compiled is on, but {device.name} is a CPU, on which the run would end at once: switch it off, "
            "or take policy.device cuda and a worker with a GPU"
        )


def _with_texts(wanted: PreflightRequest, runs_dir: Path) -> PreflightRequest:
    """The request with a prompt set's own prompts, so that they are counted; one that is gone is refused at launch."""
    config = wanted.config
    if not isinstance(config, TrainConfig | SampleConfig | EvaluateConfig) or not config.prompts.prompt_set:
        return wanted
    texts = own_texts(config.prompts, runs_dir)
    prompts = config.prompts.model_copy(update={"texts": texts, "prompt_set": ""})
    return wanted.model_copy(update={"config": config.model_copy(update={"prompts": prompts})})
