"""The runs that make pictures and train nothing: sampling and evaluation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.benchmark import (
    DiversityConfig,
    EvaluationPromptConfig,
    GenEvalConfig,
    LabelledPolicy,
    ReferenceConfig,
)
from backend.schemas.editing import ExtrapolationConfig, InpaintingConfig
from backend.schemas.every_run import BaseRunConfig, PolicyConfig, RunKind
from backend.schemas.prompts import PromptConfig
from backend.schemas.reward import RewardConfig

BASE, POLICY = "base", "policy"
DIFFERENCE = "difference"
RESERVED_LABELS = frozenset({BASE, POLICY, DIFFERENCE, "probe"})


def difference_name(label: str) -> str:
    """What the figures of a policy's difference are told under, to the first policy or to another one."""
    return DIFFERENCE if label == POLICY else f"{DIFFERENCE}:{label}"


def label_of(difference: str) -> str:
    """The policy whose difference is told under such a name: the inverse of `difference_name`."""
    return difference.partition(":")[2] or POLICY


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
    inpainting: InpaintingConfig | None = Field(
        None, title="Inpainting", description="Paint part of a picture anew, instead of whole pictures."
    )
    extrapolation: ExtrapolationConfig | None = Field(
        None, title="Extrapolation", description="Let a picture grow beyond its edges, instead of whole pictures."
    )

    @model_validator(mode="after")
    def _edits_fit(self) -> Self:
        if self.inpainting is not None and self.extrapolation is not None:
            raise ValueError("inpainting and extrapolation are both set: take one, and its result for the other")
        if self.inpainting is not None and not self.prompts.texts:
            raise ValueError("inpainting needs prompts.texts: say what the marked part is to show")
        if self.extrapolation is not None and not self.prompts.texts:
            raise ValueError("extrapolation needs prompts.texts: say what the new part is to show")
        return self


class EvaluateConfig(BaseRunConfig):
    """A policy on fixed prompts and seeds, paired with a base and others: mini-GenEval, and what else is asked for."""

    kind: Literal[RunKind.EVALUATE] = RunKind.EVALUATE
    base: PolicyConfig | None = Field(None, title="Base", description="The policy compared against; empty = none.")
    policies: tuple[LabelledPolicy, ...] = Field(
        (), max_length=6, title="Further policies", description="On the same prompts and seeds, compared to the first."
    )
    prompts: EvaluationPromptConfig = Field(default_factory=EvaluationPromptConfig, title="Prompts")
    num_prompts: int = Field(
        500, ge=6, le=100_000, title="Captions", description="Distinct ones of the small world; others are all used."
    )
    samples_per_prompt: int = Field(2, ge=1, le=64, title="Samples a caption", description="Seeds per caption.")
    batch_size: int = Field(
        128, ge=1, le=65_536, title="Batch", description="Pictures unmasked at once; changes speed only."
    )
    num_replayed: int = Field(
        60,
        ge=0,
        le=100_000,
        title="Prompts with replays",
        description="The first prompts' unmasking steps are stored too; pictures are stored of all.",
    )
    sampling: SamplingConfig = Field(default_factory=SamplingConfig, title="Sampling")
    rewards: tuple[RewardConfig, ...] = Field(
        (), max_length=8, title="Scores", description="Rewards that score the pictures, each for itself."
    )
    diversity: DiversityConfig | None = Field(None, title="Diversity")
    reference: ReferenceConfig | None = Field(None, title="FID and KID")
    geneval: GenEvalConfig | None = Field(None, title="GenEval")

    @property
    def candidates(self) -> dict[str, PolicyConfig]:
        """All policies by label, the one that the others are compared to first."""
        found = {} if self.base is None else {BASE: self.base}
        found[POLICY] = self.policy
        for each in self.policies:
            found[each.label] = self.policy.model_copy(update={"source": each.source, "alias": each.alias})
        return found

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        labels = [each.label for each in self.policies]
        if len(set(labels)) < len(labels) or RESERVED_LABELS.intersection(labels):
            raise ValueError(
                f"policies: the labels are {labels}: give each once, and none of {sorted(RESERVED_LABELS)}"
            )
        names = [reward.name for reward in self.rewards]
        if len(set(names)) < len(names):
            raise ValueError(f"rewards: each reward may stand once, got {[str(name) for name in names]}")
        if self.diversity is not None and self.samples_per_prompt < 2:
            raise ValueError("diversity compares pictures of one prompt: set samples_per_prompt to 2 or more")
        if self.reference is not None and not self.reference.folder:
            raise ValueError("reference.folder is empty: name a folder of real pictures, or leave reference out")
        return self
