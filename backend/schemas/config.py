"""The dictionary's RunConfig: what a run does, by kind. Stored whole with the run and frozen.

A policy source is `shipped` (the tiny Show-o inside), a local folder, or `run:<id>` / `run:<id>@<step>`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator

from backend.schemas.alarms import AlarmConfig
from backend.schemas.algorithm import (
    MaskGRPOConfig,
    OptimizerConfig,
    RolloutConfig,
    SamplingConfig,
    StepSelection,
)
from backend.schemas.base import Section, unit
from backend.schemas.every_run import BaseRunConfig, CheckpointConfig, RunKind
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.pretraining import ClipStageConfig, TokenizerStageConfig, TransformerStageConfig
from backend.schemas.prompts import TASK_NAMES, PromptConfig
from backend.schemas.reward import RewardConfig, RewardName, RewardNormalisation
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.scaling import LoRAConfig, ScalingConfig, Sharding


class ProbeConfig(Section):
    """Held-out scoring while training goes on: small, paired, always the same captions and seeds."""

    every_num_steps: int = Field(
        10,
        ge=1,
        le=100_000,
        title="Probe every",
        description="Steps between held-out probes.",
        json_schema_extra=unit("steps"),
    )
    num_prompts: int = Field(
        60, ge=0, le=10_000, title="Probe captions", description="Held-out captions, 6 or more; 0 = no probe."
    )

    @field_validator("num_prompts")
    @classmethod
    def _every_task_has_a_caption(cls, num_prompts: int) -> int:
        if 0 < num_prompts < len(TASK_NAMES):
            raise ValueError(
                f"probe.num_prompts is {num_prompts}: give at least {len(TASK_NAMES)}, one for each task, or 0 for no "
                "probe"
            )
        return num_prompts


class TrainConfig(BaseRunConfig):
    """Mask-GRPO training."""

    kind: Literal[RunKind.TRAIN] = RunKind.TRAIN
    num_steps: int = Field(
        60,
        ge=1,
        le=1_000_000,
        title="Training steps",
        description="Rollout + update each.",
        json_schema_extra=unit("steps"),
    )
    prompts: PromptConfig = Field(default_factory=PromptConfig, title="Prompts")
    rewards: tuple[RewardConfig, ...] = Field(
        (RewardConfig(name=RewardName.STRICT),), min_length=1, max_length=8, title="Rewards"
    )
    rollout: RolloutConfig = Field(default_factory=RolloutConfig, title="Rollout")
    grpo: MaskGRPOConfig = Field(default_factory=MaskGRPOConfig, title="Algorithm")
    sampling: SamplingConfig = Field(default_factory=SamplingConfig, title="Sampling in training")
    evaluation_sampling: SamplingConfig = Field(default_factory=SamplingConfig, title="Sampling in evaluation")
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig, title="Optimizer")
    lora: LoRAConfig = Field(default_factory=LoRAConfig, title="LoRA")
    scaling: ScalingConfig = Field(default_factory=ScalingConfig, title="Memory and processes")
    checkpoints: CheckpointConfig = Field(default_factory=CheckpointConfig, title="Checkpoints")
    probe: ProbeConfig = Field(default_factory=ProbeConfig, title="Held-out probe")
    alarms: AlarmConfig = Field(default_factory=AlarmConfig, title="Alarms")
    log_groups_every: int = Field(
        1,
        ge=1,
        le=10_000,
        title="Store groups every",
        description="Steps between those whose groups are stored whole.",
        json_schema_extra=unit("steps"),
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        names = [reward.name for reward in self.rewards]
        if len(set(names)) < len(names):
            raise ValueError(f"rewards: each reward may stand once, got {[str(name) for name in names]}")
        batch = [str(reward.name) for reward in self.rewards if reward.normalisation is RewardNormalisation.BATCH]
        resamples = self.grpo.filter.is_enabled and self.grpo.filter.max_tries > 0
        if batch and (resamples or self.scaling.num_processes > 1):
            cure = "grpo.filter.max_tries to 0" if resamples else "scaling.num_processes to 1"
            raise ValueError(
                f"rewards: normalisation batch of {batch} needs the step's pictures judged together, but groups are "
                f"judged apart here: set {cure}, or normalisation to affine"
            )
        if all(reward.weight == 0 for reward in self.rewards):
            raise ValueError("rewards: all weights are 0, so nothing is rewarded: give at least one a weight")
        selection, steps = self.grpo.step_selection, self.sampling.num_unmasking_steps
        if selection is not StepSelection.ALL and self.grpo.num_selected_steps > steps:
            raise ValueError(
                f"grpo.num_selected_steps is {self.grpo.num_selected_steps}, but sampling.num_unmasking_steps is "
                f"{steps}: lower it to at most {steps}, or set grpo.step_selection to all"
            )
        return self

    @model_validator(mode="after")
    def _all_weights_are_sharded_as_they_are(self) -> Self:
        if self.scaling.sharding is Sharding.NONE:
            return self
        for name, is_on in {
            "lora.is_enabled": self.lora.is_enabled,
            "policy.is_compiled": self.policy.is_compiled,
        }.items():
            if is_on:
                raise ValueError(
                    f"scaling.sharding is {self.scaling.sharding.value} and {name} is true: sharded are all weights, "
                    f"trained as they are and not compiled; set {name} to false, or scaling.sharding to none"
                )
        return self


class PretrainConfig(BaseRunConfig):
    """Makes a tiny Show-o from nothing, first its tokenizer, then its transformer; or a tiny CLIP, to be a reward."""

    kind: Literal[RunKind.PRETRAIN] = RunKind.PRETRAIN
    tokenizer: TokenizerStageConfig = Field(default_factory=TokenizerStageConfig, title="Tokenizer stage")
    transformer: TransformerStageConfig = Field(default_factory=TransformerStageConfig, title="Transformer stage")
    checkpoints: CheckpointConfig = Field(
        default_factory=lambda: CheckpointConfig(every_num_steps=100), title="Checkpoints"
    )
    evaluation_sampling: SamplingConfig = Field(default_factory=SamplingConfig, title="Sampling in evaluation")
    clip: ClipStageConfig | None = Field(
        None, title="CLIP instead", description="Make a tiny CLIP instead of a Show-o, and rank the policy's pictures."
    )

    @model_validator(mode="after")
    def _one_thing_is_made(self) -> Self:
        stages = (self.tokenizer, self.transformer)
        if self.clip is not None and stages != (TokenizerStageConfig(), TransformerStageConfig()):
            raise ValueError(
                "clip is set, so tokenizer and transformer have no effect: leave them as they are, or unset clip"
            )
        return self


AnyRunConfig = TrainConfig | PretrainConfig | SampleConfig | EvaluateConfig | RewardModelConfig
RunConfig = Annotated[AnyRunConfig, Field(discriminator="kind")]
run_config_adapter: TypeAdapter[AnyRunConfig] = TypeAdapter(RunConfig)
