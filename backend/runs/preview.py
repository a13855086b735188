"""What a person should know of a configuration before it runs: settings without effect, and what is known to fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from backend.runs.needs import unmet_needs
from backend.runs.unseen import CURE, unseen_folders
from backend.runs.vocabulary import unread_words
from backend.schemas.config import AnyRunConfig, PretrainConfig, RunConfig, TrainConfig
from backend.schemas.effects import samplings_of, settings_without_effect
from backend.schemas.objective_effects import risks_of_objective
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS, PromptSplit
from backend.schemas.run import RunPreview

# The shipped policy's token grid is 8 x 8, and a step must unmask at least one token.
NUM_SHIPPED_TOKENS = 64


def preview(config: AnyRunConfig, runs_dir: Path) -> RunPreview:
    """The configuration with all its defaults, as YAML, and its warnings."""
    unread = unread_words(config, runs_dir)
    unmet = [f"{problem.message}; the run would be refused" for problem in unmet_needs(config, runs_dir)]
    unseen = [f"{message} {CURE}" for message in unseen_folders(config)]
    warnings = (*unmet, *unseen, *warnings_of(config), *([] if unread is None else [" ".join(unread)]))
    return RunPreview(config=config, yaml=to_yaml(config), warnings=warnings)


def to_yaml(config: RunConfig) -> str:
    """The configuration as a recipe writes it."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    return text


def warnings_of(config: RunConfig) -> Iterator[str]:
    """Sentences for a person, each naming the setting and what to do."""
    yield from settings_without_effect(config)
    if isinstance(config, TrainConfig):
        yield from _of_training(config)
    for name, number in _captions_wanted(config).items():
        if number > NUM_HELDOUT_CAPTIONS:
            yield (
                f"{name} is {number}, but the small world holds out {NUM_HELDOUT_CAPTIONS} captions, so the run would "
                f"fail: take at most {NUM_HELDOUT_CAPTIONS}"
            )
    if config.policy.source == "shipped" and not isinstance(config, PretrainConfig):
        for name, sampling in samplings_of(config).items():
            if sampling.num_unmasking_steps > NUM_SHIPPED_TOKENS:
                yield (
                    f"{name}.num_unmasking_steps is {sampling.num_unmasking_steps}, but the shipped policy's pictures "
                    f"have {NUM_SHIPPED_TOKENS} tokens, so the run would fail: take at most {NUM_SHIPPED_TOKENS}"
                )


def _captions_wanted(config: RunConfig) -> dict[str, int]:
    """How many distinct held-out captions a configuration asks for, by the setting that says so."""
    if isinstance(config, TrainConfig):
        return {"probe.num_prompts": config.probe.num_prompts}
    if isinstance(config, EvaluateConfig | SampleConfig) and config.prompts.split is PromptSplit.HELDOUT:
        prompts = config.prompts
        is_drawn = prompts.texts or prompts.prompt_set or (prompts.tasks and isinstance(config, SampleConfig))
        return {} if is_drawn else {"num_prompts": config.num_prompts}
    return {}


def _of_training(config: TrainConfig) -> Iterator[str]:
    for _, message, cure in risks_of_objective(config.grpo, config.sampling):
        yield f"{message} {cure}"
    if config.optimizer.num_micro_batches > config.rollout.num_prompts * config.rollout.group_size:
        yield "optimizer.num_micro_batches exceeds the pictures of a step: some micro-batches would be empty"
    if config.probe.num_prompts == 0:
        yield "probe.num_prompts is 0: nothing shows whether held-out captions fare better too"
    elif config.probe.every_num_steps > config.num_steps:
        yield "probe.every_num_steps exceeds num_steps: the policy is probed only at the start and the end"
    if config.checkpoints.every_num_steps > config.num_steps:
        yield "checkpoints.every_num_steps exceeds num_steps: a run that is interrupted starts anew"
