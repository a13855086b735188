"""What must be there before a run is queued: pair set, prompt set, picture, and reward models that are proven.

Read from files beside the runs' folders, as the job reads them; it knows no database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backend.errors import MalformedError
from backend.prompt_files import read_set, sets_beside
from backend.reward_reports import refused_rewards
from backend.schemas.base import FieldProblem
from backend.schemas.config import RunConfig, TrainConfig
from backend.schemas.editing import picture_path
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward_model import RewardModelConfig

PAIR_SETS = "pair-sets"


def refuse_unmet(config: RunConfig, runs_dir: Path) -> None:
    """Refuses a configuration whose run would end before its first step.

    Raises:
        MalformedError: with a problem for each need that is not met.
    """
    problems = tuple(unmet_needs(config, runs_dir))
    if problems:
        raise MalformedError("; ".join(problem.message for problem in problems), problems)


def unmet_needs(config: RunConfig, runs_dir: Path) -> Iterator[FieldProblem]:
    """The needs that are not met, each at its place in a request for a run."""
    is_loaded = isinstance(config, TrainConfig | SampleConfig | EvaluateConfig)
    if is_loaded and config.policy.is_compiled and config.policy.device == "cpu":
        message = "policy.is_compiled needs a GPU, but policy.device is cpu: switch it off, or take device auto or cuda"
        yield FieldProblem(pointer="/config/policy/is_compiled", message=message)
    if isinstance(config, TrainConfig | EvaluateConfig):
        for place, reason in refused_rewards(config.rewards, runs_dir).items():
            yield FieldProblem(pointer=f"/config/rewards/{place}/source", message=reason)
    if isinstance(config, TrainConfig | SampleConfig | EvaluateConfig) and config.prompts.prompt_set:
        try:
            prompts = read_set(sets_beside(runs_dir), config.prompts.prompt_set)
        except ValueError as error:
            yield FieldProblem(pointer="/config/prompts/prompt_set", message=str(error))
        else:
            tasks = sorted({prompt.task or "none" for prompt in prompts})
            if config.prompts.tasks and not set(config.prompts.tasks).intersection(tasks):
                message = f"prompts.tasks names no task of the prompt set, which has {tasks}: take from these"
                yield FieldProblem(pointer="/config/prompts/tasks", message=message)
    if isinstance(config, SampleConfig):
        yield from _missing_pictures(config, runs_dir)
    if isinstance(config, RewardModelConfig):
        source = config.pairs.source
        if not source:
            message = "pairs.source is empty: set it to the SHA-256 of a frozen pair set"
            yield FieldProblem(pointer="/config/pairs/source", message=message)
        elif not (runs_dir.parent / PAIR_SETS / source).is_dir():
            message = f"there is no pair set {source}: freeze the votes of a label task, and name what that answers"
            yield FieldProblem(pointer="/config/pairs/source", message=message)


def _missing_pictures(config: SampleConfig, runs_dir: Path) -> Iterator[FieldProblem]:
    for name, edit in (("inpainting", config.inpainting), ("extrapolation", config.extrapolation)):
        # A file elsewhere may be there for the workers alone.
        if edit is None or edit.picture.startswith("/") or picture_path(edit.picture, runs_dir).is_file():
            continue
        message = (
            f"{name}.picture is {edit.picture!r}, which is not there: name a sample's image_path, or a picture that "
            "was brought in"
        )
        yield FieldProblem(pointer=f"/config/{name}/picture", message=message)
