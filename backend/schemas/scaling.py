"""The settings of memory, precision and processes: what lets a bigger model train on the machines there are.

Except for LoRA and bfloat16 they change where numbers are computed and kept, not which numbers.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator

from backend.schemas.base import Section, unit


class Precision(StrEnum):
    """In which numbers the transformer multiplies."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"  # Autocast: weights, moments, the head and all log-probs stay float32.


class Sharding(StrEnum):
    """What of the trained policy each of several processes holds."""

    NONE = "none"  # All of it.
    FSDP = "fsdp"  # Its part of every tensor; a layer is gathered while it computes (torch's FSDP2).


class LoRATarget(StrEnum):
    """A linear map of every layer that can get an adapter; the embedding and the head get none."""

    Q_PROJ = "q_proj"
    K_PROJ = "k_proj"
    V_PROJ = "v_proj"
    DENSE = "dense"  # The attention's output.
    FC1 = "fc1"
    FC2 = "fc2"


class LoRAExport(StrEnum):
    """What a run with LoRA exports."""

    MERGED = "merged"  # The whole policy in Show-o's published format.
    ADAPTER = "adapter"  # The adapter alone, in peft's format; it needs the policy that the run began with.
    BOTH = "both"


class LoRAConfig(Section):
    """Low-rank adapters: the policy's weights stay as they are and small factors beside them are trained."""

    is_enabled: bool = Field(
        False, title="LoRA", description="Train low-rank adapters instead of all weights; saves most of the memory."
    )
    rank: int = Field(16, ge=1, le=1024, title="LoRA rank", description="Columns of the factors: the adapter's size.")
    alpha: float = Field(
        32.0, gt=0, le=10_000, title="LoRA alpha", description="The adapter's output is multiplied by alpha / rank."
    )
    target_modules: tuple[LoRATarget, ...] = Field(
        tuple(LoRATarget),
        min_length=1,
        max_length=6,
        title="LoRA modules",
        description="Linear maps of every layer that get an adapter: the attention's four, the feed-forward's two.",
    )
    export: LoRAExport = Field(
        LoRAExport.MERGED,
        title="LoRA export",
        description="The whole policy with the adapter merged in, the adapter alone, or both.",
    )

    @field_validator("target_modules")
    @classmethod
    def _modules_are_distinct(cls, names: tuple[LoRATarget, ...]) -> tuple[LoRATarget, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"lora.target_modules is {[name.value for name in names]}: take each at most once")
        return names


class ScalingConfig(Section):
    """How the training step is fitted into memory and spread over processes."""

    is_gradient_checkpointed: bool = Field(
        False,
        title="Gradient checkpointing",
        description="Keep only each layer's input and compute its inside again in the backward pass: a fraction of the "
        "memory for about a third more time, the same gradient.",
    )
    num_processes: int = Field(
        1,
        ge=1,
        le=64,
        title="Processes",
        description="Processes on this machine that share a step, one a GPU; the prompts are divided among them.",
    )
    sharding: Sharding = Field(
        Sharding.NONE,
        title="Sharding",
        description="Each process holds all (none), or a part of weights, gradients, moments, average and reference, "
        "and gathers a layer while it computes (fsdp): less memory, more traffic.",
    )
    timeout_minutes: int = Field(
        30,
        ge=1,
        le=1440,
        title="Longest silence",
        description="A process that the others wait for this long ends the attempt. Longer than the longest probe.",
        json_schema_extra=unit("minutes"),
    )
