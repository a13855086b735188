"""Which prompts of an evaluation its policies were trained on, as the API tells it."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from backend.schemas.base import WireModel


class OverlappingPrompt(WireModel):
    """A prompt that training had too."""

    prompt: str
    is_exact: bool = Field(description="The same words; else only the same content, worded otherwise")


class TrainingSource(WireModel):
    """A run that a policy was trained by, or the shipped policy."""

    run_id: UUID | None = Field(description="Null for the shipped policy")
    name: str
    policies: tuple[str, ...] = Field(description="Labels of the policies that come from it")
    num_exact: int
    num_same_content: int


class Overlap(WireModel):
    """What an evaluation's prompts share with the training of the policies that it compares."""

    num_prompts: int
    num_overlapping: int = Field(description="Prompts that training had word for word, but for case and punctuation")
    num_same_content: int = Field(description="Further prompts whose content training had in other words")
    prompts: tuple[OverlappingPrompt, ...] = Field(description="The first 50, those with the same words first")
    training_runs: tuple[TrainingSource, ...]
    unknown: tuple[str, ...] = Field(description="Policies from elsewhere, of whose training nobody here knows")
