"""The dictionary's pictures from outside, brought to a policy's size: to paint over, or to let grow."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from backend.schemas.base import WireModel
from backend.schemas.every_run import PolicyConfig
from backend.schemas.reward_test import MAX_PICTURE_CHARACTERS


class PictureFit(StrEnum):
    """What is cut off once the shorter side was resized to that of the policy's own pictures."""

    SQUARE = "square"  # All but the middle: painting over takes pictures of the policy's own shape alone.
    WHOLE = "whole"  # Of the longer side what makes no whole cell, or would leave no room to grow.


class PictureCreate(WireModel):
    """A picture to bring in."""

    image: str = Field(
        min_length=1, max_length=MAX_PICTURE_CHARACTERS, description="A PNG, JPEG or WebP in base64, at most 675 kB"
    )
    policy: PolicyConfig = Field(default_factory=PolicyConfig, description="Whose pictures it is to be like; source")
    fit: PictureFit = Field(PictureFit.WHOLE, description="whole to let it grow, square to paint over it")


class Picture(WireModel):
    """A picture that was brought in."""

    sha256: str
    name: str = Field(description="As inpainting.picture and extrapolation.picture of a sample run name it")
    image_url: str
    policy: str = Field(description="The source of the policy whose size it has")
    width: int
    height: int
    num_rows: int
    num_columns: int
    window_side: int = Field(description="Rows and columns of the policy's own pictures")
    what_was_done: str = Field(description="How it was resized and cropped, in words")
