"""What to change where a run does not fit: one setting at a time, cheapest first, each as far as it helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from backend.schemas.algorithm import StepSelection
from backend.schemas.config import TrainConfig, run_config_adapter
from backend.schemas.memory_advice import can_be_sharded
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.scaling import Precision, Sharding

Estimated = TrainConfig | SampleConfig | EvaluateConfig

MAX_CHANGES = 40
# A change that saves less than this share of the peak is not worth its price.
SMALLEST_GAIN = 0.01


class Change(NamedTuple):
    """A setting, what it becomes, what it costs, and the configuration with it."""

    setting: str
    value: str
    why: str
    config: Estimated


def changes_until(
    config: Estimated, fits: Callable[[Estimated], bool], peak_of: Callable[[Estimated], int]
) -> list[Change]:
    """The changes to make, in order, until the run fits or nothing is left that lowers its peak."""
    made: list[Change] = []
    while not fits(config) and len(made) < MAX_CHANGES:
        largest = (1 - SMALLEST_GAIN) * peak_of(config)
        change = next((each for each in possible(config) if peak_of(each.config) <= largest), None)
        if change is None:
            break
        config = change.config
        # Halved twice is one change to a quarter.
        if made and made[-1].setting == change.setting:
            made.pop()
        made.append(change)
    return made


def possible(config: Estimated) -> Iterator[Change]:
    """Single changes that can lower a peak, what costs least first."""
    if isinstance(config, TrainConfig):
        yield from _of_training(config)
    else:
        yield from _of_precision(config)
    if isinstance(config, EvaluateConfig) and config.batch_size > 1:
        yield _change(config, "batch_size", config.batch_size // 2, "changes speed only")
    if isinstance(config, SampleConfig) and config.samples_per_prompt > 1:
        yield _change(config, "samples_per_prompt", config.samples_per_prompt // 2, "fewer pictures a run")


def _of_training(config: TrainConfig) -> Iterator[Change]:
    parts, rollout = config.optimizer.num_micro_batches, config.rollout
    if parts < min(1024, rollout.num_prompts * rollout.group_size * _steps_in_the_loss(config)):
        why = "the same gradient in smaller parts, hardly slower"
        yield _change(config, "optimizer.num_micro_batches", min(2 * parts, 1024), why)
    if not config.scaling.is_gradient_checkpointed:
        why = "the same gradient for about a third more time in the update"
        yield _change(config, "scaling.is_gradient_checkpointed", True, why)
    if can_be_sharded(config):
        why = "each process holds its part; every pass gathers each layer from the others, so it takes longer"
        yield _change(config, "scaling.sharding", Sharding.FSDP.value, why)
    if not config.lora.is_enabled and config.scaling.sharding is Sharding.NONE:
        why = "no gradients, moments and reference of all weights; trains adapters instead, another method"
        yield _change(config, "lora.is_enabled", True, why)
    yield from _of_precision(config)
    if rollout.num_prompts > 1:
        why = "fewer groups a step: noisier gradients, so lower the learning rate or take more steps"
        yield _change(config, "rollout.num_prompts", rollout.num_prompts // 2, why)


def _steps_in_the_loss(config: TrainConfig) -> int:
    steps = config.sampling.num_unmasking_steps
    return steps if config.grpo.step_selection is StepSelection.ALL else config.grpo.num_selected_steps


def _of_precision(config: Estimated) -> Iterator[Change]:
    if config.policy.precision is Precision.FLOAT32:
        why = "products in half the bits: faster on a GPU; weights and log-probs stay float32"
        yield _change(config, "policy.precision", Precision.BFLOAT16.value, why)


def _change(config: Estimated, setting: str, value: Any, why: str) -> Change:
    data: dict[str, Any] = config.model_dump(mode="json")
    *sections, name = setting.split(".")
    place: Any = data
    for section in sections:
        place = place[section]
    place[name] = value
    changed = run_config_adapter.validate_python(data)
    assert isinstance(changed, Estimated)
    return Change(setting, str(value).lower() if isinstance(value, bool) else str(value), why, changed)
