"""What a person should know of a configuration before it runs: settings without effect, and pairs known to fail."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from backend.schemas.algorithm import LearningRateSchedule, MaskGRPOConfig, StepSelection, TransitionDefinition
from backend.schemas.config import EvaluateConfig, PretrainConfig, RunConfig, SampleConfig, TrainConfig
from backend.schemas.run import RunPreview


def preview(config: TrainConfig | PretrainConfig | SampleConfig | EvaluateConfig) -> RunPreview:
    """The configuration with all its defaults, as YAML, and its warnings."""
    return RunPreview(config=config, yaml=to_yaml(config), warnings=tuple(warnings_of(config)))


def to_yaml(config: RunConfig) -> str:
    """The configuration as a recipe writes it."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    return text


def warnings_of(config: RunConfig) -> Iterator[str]:
    """Sentences for a person, each naming the setting and what to do."""
    if isinstance(config, TrainConfig):
        yield from _of_training(config)
    if isinstance(config, TrainConfig | SampleConfig) and config.prompts.texts and config.prompts.tasks:
        yield "prompts.tasks has no effect beside prompts.texts: the own prompts are used as they are"


def _of_training(config: TrainConfig) -> Iterator[str]:
    grpo, sampling, optimizer = config.grpo, config.sampling, config.optimizer
    if grpo.transition is TransitionDefinition.CANDIDATE_1 and sampling.temperature > 0:
        yield (
            "grpo.transition is candidate_1 while sampling.temperature is above 0: its threshold models a choice "
            "without noise, and training is known to collapse; use candidate_2, or temperature 0"
        )
    yield from _without_effect(grpo)
    if optimizer.schedule is LearningRateSchedule.CONSTANT and (optimizer.decay_steps or optimizer.final_fraction):
        yield "optimizer.decay_steps and final_fraction have no effect while optimizer.schedule is constant"
    if optimizer.num_micro_batches > config.rollout.num_prompts * config.rollout.group_size:
        yield "optimizer.num_micro_batches exceeds the pictures of a step: some micro-batches would be empty"
    if config.probe.num_prompts == 0:
        yield "probe.num_prompts is 0: nothing shows whether held-out captions fare better too"
    elif config.probe.every_num_steps > config.num_steps:
        yield "probe.every_num_steps exceeds num_steps: the policy is probed only at the start and the end"
    if config.checkpoints.every_num_steps > config.num_steps:
        yield "checkpoints.every_num_steps exceeds num_steps: a run that is interrupted starts anew"


def _without_effect(grpo: MaskGRPOConfig) -> Iterator[str]:
    selected = MaskGRPOConfig.model_fields["num_selected_steps"].default
    if grpo.step_selection is StepSelection.ALL and grpo.num_selected_steps != selected:
        yield "grpo.num_selected_steps has no effect while grpo.step_selection is all"
