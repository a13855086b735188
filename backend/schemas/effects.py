"""Settings that differ from their defaults and cannot do anything: one list for the preview and for the alarms."""

from __future__ import annotations

from collections.abc import Iterator

from backend.schemas.algorithm import LearningRateSchedule, OptimizerConfig, SamplingConfig
from backend.schemas.config import PretrainConfig, RunConfig, TrainConfig
from backend.schemas.every_run import PolicyConfig
from backend.schemas.objective_effects import of_objective
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward import RewardNormalisation
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.scaling import LoRAConfig, Precision, ScalingConfig, Sharding


def settings_without_effect(config: RunConfig) -> Iterator[str]:
    """Sentences for a person, each naming the setting and why it does nothing."""
    if isinstance(config, TrainConfig):
        yield from of_objective(config.grpo, config.sampling)
        yield from _of_optimizer(config.optimizer, config.num_steps)
        yield from _of_scaling(config.lora, config.scaling)
    if isinstance(config, TrainConfig | SampleConfig) and config.prompts.texts and config.prompts.tasks:
        yield "prompts.tasks has no effect beside prompts.texts: the own prompts are used as they are."
    default = SampleConfig.model_fields["num_prompts"].default
    if isinstance(config, SampleConfig) and config.num_prompts != default:
        for name in ("texts", "prompt_set"):
            if getattr(config.prompts, name):
                yield f"num_prompts has no effect beside prompts.{name}: all of the own prompts are used."
    if isinstance(config, EvaluateConfig):
        yield from _of_evaluation(config)
    if isinstance(config, PretrainConfig) and config.clip is None:
        yield from _of_pretraining(config.policy)
    if isinstance(config, RewardModelConfig):
        yield from _of_reward_model(config)
    for name, sampling in samplings_of(config).items():
        yield from _of_sampling(name, sampling)


def samplings_of(config: RunConfig) -> dict[str, SamplingConfig]:
    """The ways of sampling that a configuration has, by the setting's name."""
    found: dict[str, SamplingConfig] = {}
    if isinstance(config, TrainConfig | SampleConfig | EvaluateConfig):
        found["sampling"] = config.sampling
    if isinstance(config, TrainConfig | PretrainConfig):
        found["evaluation_sampling"] = config.evaluation_sampling
    return found


def _of_evaluation(config: EvaluateConfig) -> Iterator[str]:
    if config.prompts.texts and config.prompts.tasks:
        yield "prompts.tasks has no effect beside prompts.texts: the own prompts are used as they are."
    for reward in config.rewards:
        if reward.weight != 1 or reward.normalisation is not RewardNormalisation.NONE:
            yield f"weight and normalisation of {reward.name} have no effect: every score stands for itself here."
    if config.geneval is not None and not config.prompts.prompt_set:
        yield (
            "geneval would end the run: only a prompt set made of GenEval's metadata can be judged by it; name one in "
            "prompts.prompt_set."
        )


def _of_optimizer(optimizer: OptimizerConfig, num_steps: int) -> Iterator[str]:
    is_decay_set = optimizer.decay_steps is not None or optimizer.final_fraction != 0
    if optimizer.schedule is LearningRateSchedule.CONSTANT and is_decay_set:
        yield "optimizer.decay_steps and final_fraction have no effect while optimizer.schedule is constant."
    if optimizer.num_warmup_steps >= num_steps > 1:
        yield "optimizer.num_warmup_steps is as long as the run, so the peak learning rate is hardly reached."


def _of_scaling(lora: LoRAConfig, scaling: ScalingConfig) -> Iterator[str]:
    if not lora.is_enabled:
        for name in ("rank", "alpha", "target_modules", "export"):
            if getattr(lora, name) != LoRAConfig.model_fields[name].default:
                yield f"lora.{name} has no effect: LoRA is off, all weights are trained."
    if scaling.num_processes == 1 and scaling.timeout_minutes != ScalingConfig.model_fields["timeout_minutes"].default:
        yield "scaling.timeout_minutes has no effect in a single process: it waits for nobody."
    if scaling.num_processes == 1 and scaling.sharding is not Sharding.NONE:
        yield "scaling.sharding has no effect in a single process: there is nobody to hold the other parts."


def _of_sampling(name: str, sampling: SamplingConfig) -> Iterator[str]:
    if sampling.num_unmasking_steps == 1 and sampling.temperature > 0:
        yield f"{name}.temperature has no effect: a single unmasking step keeps every draw."


def _of_reward_model(config: RewardModelConfig) -> Iterator[str]:
    if config.policy.source != PolicyConfig().source:
        yield "policy.source has no effect: a reward model starts from the CLIP in base, and no policy is loaded."
    if config.policy.is_compiled:
        yield "policy.is_compiled has no effect: a reward model is not compiled."
    if config.tuning.num_warmup_steps >= config.num_steps > 1:
        yield "tuning.num_warmup_steps is as long as the run, so the peak learning rate is hardly reached."


def _of_pretraining(policy: PolicyConfig) -> Iterator[str]:
    if policy.source != PolicyConfig().source:
        yield "policy.source has no effect: pretraining makes a policy from nothing."
    if policy.device == "cuda":
        yield "policy.device has no effect: pretraining works on the CPU."
    if policy.precision is not Precision.FLOAT32:
        yield "policy.precision has no effect: pretraining works in float32."
    if policy.is_compiled:
        yield "policy.is_compiled has no effect: pretraining compiles nothing."
