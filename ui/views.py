"""Pure views: what pages say about configurations and runs, as plain values. Knows no HTML and no Gradio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

import yaml
from pydantic import BaseModel

from backend.schemas.algorithm import StepSelection
from backend.schemas.config import PretrainConfig, TrainConfig
from backend.schemas.objective import Objective
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.run import Run
from ui.forms import spaced


def yaml_of(config: BaseModel) -> str:
    """The configuration as the YAML that a recipe file holds."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def arithmetic(config: BaseModel) -> list[tuple[str, str]]:
    """What a run will do, counted: (what, how many)."""
    match config:
        case TrainConfig():
            return _training_arithmetic(config)
        case SampleConfig() | EvaluateConfig():
            return _picture_arithmetic(config)
        case RewardModelConfig():
            tuning = config.tuning
            return [_product("Pairs", config.num_steps, "steps", tuning.batch_size, "a batch, each with two pictures")]
        case PretrainConfig(clip=clip) if clip is not None:
            return [_product("Captions", clip.num_steps, "steps", clip.batch_size, "a batch, each with two pictures")]
        case PretrainConfig():
            tokenizer, transformer = config.tokenizer, config.transformer
            return [
                _product("Tokenizer pictures", tokenizer.num_steps, "steps", tokenizer.batch_size, "a batch"),
                _product("Transformer pictures", transformer.num_steps, "steps", transformer.batch_size, "a batch"),
            ]
    raise AssertionError(f"no arithmetic for {type(config).__name__}")


def _picture_arithmetic(config: SampleConfig | EvaluateConfig) -> list[tuple[str, str]]:
    what = "prompts" if isinstance(config, SampleConfig) else "captions"
    line = _product(
        "Pictures", len(config.prompts.texts) or config.num_prompts, what, config.samples_per_prompt, "seeds"
    )
    if config.prompts.prompt_set:
        # How many they are, the set knows; the form does not.
        line = ("Pictures", f"the set's prompts × {config.samples_per_prompt} seeds")
    if isinstance(config, SampleConfig):
        return [line]
    number = len(config.candidates)
    return [line, ("Policies", f"{number}, on the same captions and seeds" if number > 1 else "1")]


def _training_arithmetic(config: TrainConfig) -> list[tuple[str, str]]:
    rollout, sampling, grpo = config.rollout, config.sampling, config.grpo
    num_pictures = rollout.num_prompts * rollout.group_size
    is_whole = grpo.step_selection is StepSelection.ALL
    num_in_loss = sampling.num_unmasking_steps if is_whole else grpo.num_selected_steps
    in_loss = ("Unmasking steps in the loss", f"{num_in_loss} of {sampling.num_unmasking_steps}")
    if grpo.objective is Objective.FORWARD_PROCESS:
        in_loss = ("Re-maskings in the loss", f"{grpo.forward_process.num_remaskings} of each picture")
    probe = config.probe
    lines = [
        _product("Pictures a step", rollout.num_prompts, "prompts", rollout.group_size, "a group"),
        ("Pictures in all", spaced(num_pictures * config.num_steps)),
        in_loss,
        ("Optimizer steps", spaced(config.num_steps * grpo.num_epochs)),
    ]
    if probe.num_prompts:
        lines.append(("Held-out probe", f"{probe.num_prompts} captions every {probe.every_num_steps} steps"))
    return lines


def _product(what: str, first: int, first_unit: str, second: int, second_unit: str) -> tuple[str, str]:
    total = spaced(first * second)
    return what, f"{total} = {first} {first_unit} × {second} {second_unit}"


# A run of fewer steps tells the time of none but its like.
_FEWEST_STEPS = 10


def estimate_seconds(config: BaseModel, runs: Iterable[Run]) -> float | None:
    """How long a training run will take, from the pace of the newest finished run of the same size; None = unknown.

    Of a run of a few steps most of the time is its start, so it says nothing of a longer one.
    """
    if not isinstance(config, TrainConfig):
        return None
    fewest = min(_FEWEST_STEPS, config.num_steps)
    for run in runs:
        same = isinstance(run.config, TrainConfig) and _size_of(run.config) == _size_of(config)
        if same and run.step >= fewest and run.started_at and run.finished_at and run.attempt == 1:
            seconds = (run.finished_at - run.started_at).total_seconds()
            return seconds / run.step * config.num_steps
    return None


def _size_of(config: TrainConfig) -> tuple[object, ...]:
    """What the time of a step depends on."""
    policy, sampling, grpo = config.policy, config.sampling, config.grpo
    selection = (grpo.step_selection, grpo.num_selected_steps, grpo.num_epochs, grpo.kl_beta > 0)
    objective = (grpo.objective, grpo.transition, grpo.forward_process.num_remaskings)
    memory = (config.lora, config.scaling, config.optimizer.num_micro_batches)
    rewards = tuple((reward.name, reward.source, reward.precision) for reward in config.rewards)
    unmasking = (sampling.num_unmasking_steps, sampling.guidance_scale > 0)
    return policy, config.rollout, unmasking, selection, objective, memory, rewards


def duration(seconds: float) -> str:
    """A span of time as people say it."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def changes(before: BaseModel, after: BaseModel) -> list[tuple[str, str, str]]:
    """Where a configuration departs from another of its kind: (path, before, after)."""
    found = differences(before.model_dump(mode="json"), after.model_dump(mode="json"))
    return [(path, _told(before, path, old), _told(after, path, new)) for path, old, new in found]


def _told(config: BaseModel, path: str, value: Any) -> str:
    """A setting's value in words; of parts that stand in a list, such as rewards, only what was set."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        parts = reduce(getattr, path.split("."), config)
        assert isinstance(parts, tuple)
        return plain([part.model_dump(mode="json", exclude_defaults=True) for part in parts])
    return plain(value)


def differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two nested configurations differ: (path, before, after)."""
    for key in [*before, *(key for key in after if key not in before)]:
        here, old, new = f"{path}{key}", before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{here}.")
        elif old != new:
            yield here, old, new


def plain(value: Any) -> str:
    """A configuration's value as one short text."""
    if value is None or value in ("", []):
        return "empty"
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict):
        return " ".join(plain(item) for item in value.values())
    return f"{value:g}" if isinstance(value, float) else str(value)
