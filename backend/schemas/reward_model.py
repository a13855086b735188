"""Settings of a reward model in training: which votes, how they are split, and how the CLIP is tuned on them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from backend.schemas.base import Section, unit
from backend.schemas.every_run import ALIAS_PREFIX, BaseRunConfig, CheckpointConfig, RunKind


class PairSetConfig(Section):
    """Which pairs are learned from, and which are kept to judge with."""

    source: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        title="Pair set",
        description="The SHA-256 of a frozen pair set, as the list of pair sets shows it; a run needs one.",
    )
    heldout_share: float = Field(
        0.2,
        gt=0,
        le=0.5,
        title="Held-out prompts",
        description="Share of the prompts whose pairs judge the finished model; nothing else is done with them.",
    )
    choosing_share: float = Field(
        0.15,
        gt=0,
        le=0.5,
        title="Choosing prompts",
        description="Share of the prompts that choose the best step and fit the temperature.",
    )
    heldout_rater_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        title="Held-out raters",
        description="Share of the raters whose votes are never learned from; 0 = none is held out.",
    )


class TuningConfig(Section):
    """AdamW on all weights of the CLIP, by the Bradley-Terry loss of PickScore."""

    batch_size: int = Field(32, ge=1, le=4096, title="Batch", description="Pairs a step.")
    num_micro_batches: int = Field(
        1, ge=1, le=1024, title="Micro-batches", description="Parts of a batch: less memory, the same gradient."
    )
    learning_rate: float = Field(1e-4, gt=0, le=1, title="Learning rate", description="AdamW's peak rate.")
    weight_decay: float = Field(0.01, ge=0, le=10, title="Weight decay", description="AdamW's.")
    num_warmup_steps: int = Field(
        20, ge=0, le=100_000, title="Warm-up", description="Linear warm-up.", json_schema_extra=unit("steps")
    )
    decay_fraction: float = Field(
        0.5, ge=0, le=1, title="Decay", description="Last share of the steps, in which the rate falls to 0."
    )


class RewardModelConfig(BaseRunConfig):
    """A reward model: a CLIP tuned on people's choices between two pictures of one prompt."""

    kind: Literal[RunKind.REWARD_MODEL] = RunKind.REWARD_MODEL
    pairs: PairSetConfig = Field(default_factory=PairSetConfig, title="Votes")
    base: str = Field(
        "shipped",
        min_length=1,
        max_length=1000,
        title="Base CLIP",
        description="shipped = the tiny CLIP; a folder or cached hub name in open_clip's format; architecture:file; or "
        "run:<id> of an earlier reward model.",
    )
    num_steps: int = Field(
        300,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Optimizer steps; the best of the probed ones is kept.",
        json_schema_extra=unit("steps"),
    )
    tuning: TuningConfig = Field(default_factory=TuningConfig, title="Tuning")
    probe_every: int = Field(
        25,
        ge=1,
        le=100_000,
        title="Probe every",
        description="Steps between measurements on the choosing prompts.",
        json_schema_extra=unit("steps"),
    )
    checkpoints: CheckpointConfig = Field(
        default_factory=lambda: CheckpointConfig(every_num_steps=100, num_kept=1), title="Checkpoints"
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.base.startswith(ALIAS_PREFIX):
            raise ValueError(f"base is {self.base!r}, but no alias stands there: name the reward model, run:<id>")
        if self.pairs.heldout_share + self.pairs.choosing_share > 0.8:
            raise ValueError(
                f"pairs.heldout_share {self.pairs.heldout_share:g} and choosing_share {self.pairs.choosing_share:g} "
                "leave less than a fifth of the prompts to learn from: lower one of them"
            )
        if self.tuning.num_micro_batches > self.tuning.batch_size:
            raise ValueError(
                f"tuning.num_micro_batches is {self.tuning.num_micro_batches}, but a batch has "
                f"{self.tuning.batch_size} pairs: lower it to at most that"
            )
        return self
