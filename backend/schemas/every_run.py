"""What every run's configuration has: its kind, its seed, its policy; and when it saves, where it trains."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from backend.schemas.base import Section, unit
from backend.schemas.scaling import Precision

ALIAS_PREFIX = "alias:"


class RunKind(StrEnum):
    """What a run does."""

    PRETRAIN = "pretrain"
    TRAIN = "train"
    SAMPLE = "sample"
    EVALUATE = "evaluate"
    REWARD_MODEL = "reward_model"


class PolicyConfig(Section):
    """The policy a run starts from."""

    source: str = Field(
        "shipped",
        min_length=1,
        max_length=1000,
        title="Policy",
        description="shipped, a folder, a hub name as showlab/show-o-512x512, run:<id>, run:<id>@<step>, alias:<name>.",
    )
    alias: str = Field(
        "",
        max_length=40,
        title="Alias",
        description="The alias that source was taken from; the studio writes it.",
        json_schema_extra={"readOnly": True},
    )
    num_threads: int = Field(0, ge=0, le=256, title="CPU threads", description="Threads of the job; 0 = all cores.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title="Device", description="auto takes a GPU where there is one."
    )
    precision: Precision = Field(
        Precision.FLOAT32,
        title="Precision",
        description="bfloat16 multiplies in half the bits; weights, gradients and log-probs stay float32.",
    )
    is_compiled: bool = Field(
        False,
        title="Compiled layers",
        description="torch.compile fuses each layer: for a large model, after a minute of compiling; needs a GPU.",
    )


class BaseRunConfig(Section):
    """What every run has."""

    name: str = Field("", max_length=120, title="Name", description="Shown in lists; empty = made from the recipe.")
    seed: int = Field(7, ge=0, le=2**31 - 1, title="Seed", description="The only source of chance.")
    policy: PolicyConfig = Field(default_factory=PolicyConfig, title="Model")


class CheckpointConfig(Section):
    """When a run saves all that resuming needs, and how much of it is kept."""

    every_num_steps: int = Field(
        10,
        ge=1,
        le=100_000,
        title="Checkpoint every",
        description="Steps between checkpoints.",
        json_schema_extra=unit("steps"),
    )
    num_kept: int = Field(
        3, ge=1, le=1000, title="Checkpoints kept", description="Older ones are deleted; the last stays."
    )
