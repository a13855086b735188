"""The dictionary's reward tests: a picture and a prompt against rewards, and how each holds when it is bent."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from backend.schemas.base import Number, Timestamp, WireModel
from backend.schemas.reward import RewardConfig

MAX_PICTURE_CHARACTERS = 900_000
"""of base64: 675 kB of picture, so that the request stays under the bound of all requests"""

VARIANTS = ("jpeg_90", "jpeg_50", "crop_90", "flip", "shift", "blur")
"""the same picture as JPEG of quality 90 and 50, its middle 90 %, mirrored, moved by a thirty-second, softened"""


class RewardTestState(StrEnum):
    """How far a test is."""

    QUEUED = "queued"
    TESTING = "testing"
    DONE = "done"
    FAILED = "failed"


class RewardTestCreate(WireModel):
    """A picture, of a sample or sent along, and what it was asked to show."""

    prompt: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    sample_id: UUID | None = Field(None, description="A picture of the studio")
    image: str | None = Field(
        None, max_length=MAX_PICTURE_CHARACTERS, description="A PNG, JPEG or WebP in base64, at most 675 kB"
    )
    rewards: tuple[RewardConfig, ...] = Field(
        (), max_length=16, description="Empty = all that are here, and the newest three learned ones"
    )

    @model_validator(mode="after")
    def _has_one_picture(self) -> Self:
        if (self.sample_id is None) == (self.image is None):
            raise ValueError("give either sample_id or image: a test has one picture")
        return self


class VariantScore(WireModel):
    """What a reward gives the picture when it is bent a little; a steady one gives nearly the same."""

    variant: str
    score: Number


class RewardAnswer(WireModel):
    """One reward's answer."""

    name: str
    source: str
    score: Number = Field(description="Of the picture as it is; null where the reward could not be asked")
    variants: tuple[VariantScore, ...] = ()
    largest_change: Number = Field(None, description="The largest absolute difference of a variant's score from it")
    milliseconds: Number = Field(None, description="For one picture, the median of three, weights loaded")
    load_seconds: Number = Field(None, description="Until it was ready")
    error: str | None = Field(None, description="Why it could not be asked, and the cure")


class RewardTestResult(WireModel):
    """What the worker found."""

    device: str
    rewards: tuple[RewardAnswer, ...]


class RewardTest(WireModel):
    """A test and how far it is."""

    id: UUID
    state: RewardTestState
    prompt: str
    sample_id: UUID | None
    image_url: str
    variant_urls: dict[str, str] = Field(description="The bent pictures, once they are made")
    num_rewards: int
    result: RewardTestResult | None = Field(description="Null until done")
    error: str | None = Field(description="Why the whole test failed")
    created_at: Timestamp
