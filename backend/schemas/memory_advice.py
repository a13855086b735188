"""What to change where memory runs out, in the order of what costs least; the same words wherever it is noticed."""

from __future__ import annotations

from collections.abc import Iterator

from backend.schemas.config import PretrainConfig, RunConfig, TrainConfig
from backend.schemas.every_run import PolicyConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.scaling import Precision, Sharding


def memory_advice(config: RunConfig) -> tuple[str, ...]:
    """Changes of a configuration that each lower its peak, what is set already left out; empty where none is left."""
    return tuple(_of_kind(config))


def out_of_memory_sentence(config: RunConfig, words: str) -> str:
    """What a run is told that ran out of memory: what was said, and what to change."""
    advice = memory_advice(config) or ("take a machine with more memory, for nothing is left to lower",)
    return f"the job ran out of memory ({words}). In this order: {'; '.join(advice)}; then clone the run"


def _of_kind(config: RunConfig) -> Iterator[str]:
    if isinstance(config, TrainConfig):
        yield from _of_training(config)
    if isinstance(config, EvaluateConfig) and config.batch_size > 1:
        yield f"lower batch_size from {config.batch_size} to {config.batch_size // 2}"
    if isinstance(config, PretrainConfig):
        for name, stage in (("tokenizer", config.tokenizer), ("transformer", config.transformer)):
            yield f"lower {name}.batch_size from {stage.batch_size} to {max(1, stage.batch_size // 2)}"
        return
    if isinstance(config, RewardModelConfig):
        parts, size = config.tuning.num_micro_batches, config.tuning.batch_size
        if parts < size:
            yield f"raise tuning.num_micro_batches from {parts} to {min(2 * parts, size)}"
    if not isinstance(config, TrainConfig):
        yield from _of_precision(config.policy)
    if isinstance(config, SampleConfig) and config.samples_per_prompt > 1:
        halved = config.samples_per_prompt // 2
        yield f"lower samples_per_prompt from {config.samples_per_prompt} to {halved}"


def _of_training(config: TrainConfig) -> Iterator[str]:
    parts, rollout = config.optimizer.num_micro_batches, config.rollout
    if parts < min(1024, rollout.num_prompts * rollout.group_size):
        yield f"raise optimizer.num_micro_batches from {parts} to {min(2 * parts, 1024)}"
    if not config.scaling.is_gradient_checkpointed:
        yield "turn scaling.is_gradient_checkpointed on"
    if can_be_sharded(config):
        yield "set scaling.sharding to fsdp"
    if not config.lora.is_enabled and config.scaling.sharding is Sharding.NONE:
        yield "turn lora.is_enabled on"
    yield from _of_precision(config.policy)
    if rollout.num_prompts > 1:
        yield f"lower rollout.num_prompts from {rollout.num_prompts} to {rollout.num_prompts // 2}"


def can_be_sharded(config: TrainConfig) -> bool:
    """Whether the processes of a run hold all of the policy each, and could hold a part."""
    is_whole = config.scaling.num_processes > 1 and config.scaling.sharding is Sharding.NONE
    return is_whole and not config.lora.is_enabled and not config.policy.is_compiled


def _of_precision(policy: PolicyConfig) -> Iterator[str]:
    if policy.precision is Precision.FLOAT32:
        yield "set policy.precision to bfloat16"
