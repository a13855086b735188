"""The runs that make pictures and train nothing: sampling and evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.every_run import BaseRunConfig, PolicyConfig, RunKind
from backend.schemas.prompts import PromptConfig


class SampleConfig(BaseRunConfig):
    """Pictures for prompts and seeds."""

    kind: Literal[RunKind.SAMPLE] = RunKind.SAMPLE
    prompts: PromptConfig = Field(default_factory=PromptConfig, title="Prompts")
    num_prompts: int = Field(
        4, ge=1, le=10_000, title="Prompts", description="Captions drawn; own prompts are all used."
    )
    samples_per_prompt: int = Field(
        4, ge=1, le=1000, title="Samples a prompt", description="Seeds seed .. seed + n - 1."
    )
    sampling: SamplingConfig = Field(default_factory=SamplingConfig, title="Sampling")


class EvaluateConfig(BaseRunConfig):
    """Mini-GenEval of one policy, paired with a base on the same captions and seeds."""

    kind: Literal[RunKind.EVALUATE] = RunKind.EVALUATE
    base: PolicyConfig | None = Field(None, title="Base", description="The policy compared against; empty = none.")
    num_prompts: int = Field(500, ge=6, le=100_000, title="Captions", description="Distinct held-out captions.")
    samples_per_prompt: int = Field(2, ge=1, le=64, title="Samples a caption", description="Seeds per caption.")
    batch_size: int = Field(
        128, ge=1, le=65_536, title="Batch", description="Pictures unmasked at once; changes speed only."
    )
    sampling: SamplingConfig = Field(default_factory=SamplingConfig, title="Sampling")
