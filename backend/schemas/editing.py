"""What a sample run may do to a picture that is there: paint part of it anew, or let it grow beyond its edges."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from backend.schemas.base import Section, unit

MAX_EXTENSIONS = 16
MAX_GROWTH = 8
"""times the policy's own picture that a grown one may have, counted in cells"""


RUN_PREFIX = "run:"
"""before the id of a run and the path of a picture in its folder"""
PICTURE_PREFIX = "picture:"
"""before the SHA-256 of a picture that was brought in"""
PICTURES_FOLDER = "pictures"
"""where those lie, beside the runs' folders"""


class Direction(StrEnum):
    """The side on which a picture grows."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


def _stays_inside(picture: str) -> str:
    if ".." in picture.split("/"):
        raise ValueError("the picture leaves its run's folder: name a picture inside samples/")
    return picture


def picture_path(name: str, runs_dir: Path) -> Path:
    """Where a picture lies that a configuration names; a file's own path is its name."""
    if name.startswith(PICTURE_PREFIX):
        return runs_dir.parent / PICTURES_FOLDER / f"{name.removeprefix(PICTURE_PREFIX)}.png"
    return runs_dir / name.removeprefix(RUN_PREFIX) if name.startswith(RUN_PREFIX) else Path(name)


PictureName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        pattern=r"^(run:[A-Za-z0-9][A-Za-z0-9_-]*/samples/[A-Za-z0-9_./-]+\.png|picture:[0-9a-f]{64}|/.+)$",
        title="Picture",
        description="run:<id>/samples/....png as a sample's image_path has it, picture:<sha256> as one that was "
        "brought in, or a file's absolute path.",
    ),
    AfterValidator(_stays_inside),
]


class InpaintingConfig(Section):
    """A picture of the studio, and which of its cells are painted anew for the prompts."""

    picture: PictureName
    mask: str = Field(
        min_length=1,
        max_length=16_384,
        pattern="^[01]+$",
        title="Mask",
        description="A digit a token cell, row by row: 1 = painted anew, 0 = kept.",
    )

    @field_validator("mask")
    @classmethod
    def _marks_something(cls, mask: str) -> str:
        if "1" not in mask:
            raise ValueError("inpainting.mask marks no cell: give at least one 1, where the picture is painted anew")
        return mask


class ExtensionConfig(Section):
    """One step of growth."""

    direction: Direction = Field(title="Direction", description="The side on which the picture grows.")
    prompt: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        title="Prompt",
        description="What the new part shows; empty = the prompt's.",
    )


class ExtrapolationConfig(Section):
    """A picture of the studio, and the sides on which it grows, one after another."""

    picture: PictureName
    extensions: tuple[ExtensionConfig, ...] = Field(
        min_length=1, max_length=MAX_EXTENSIONS, title="Extensions", description="In this order; a side may come again."
    )
    num_new: int | None = Field(
        None,
        ge=1,
        le=63,
        title="New cells",
        description="Rows or columns that each adds, fewer than the policy's picture has; empty = half of them.",
        json_schema_extra=unit("cells"),
    )

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The sides, in order."""
        return tuple(each.direction for each in self.extensions)

    def num_windows(self, side: int) -> int:
        """How many windows of `side` x `side` cells are filled when a picture of that size, the policy's own, grows."""
        added = self.num_new or side // 2
        height = width = side
        found = 0
        for direction in self.directions:
            is_sideways = direction in (Direction.LEFT, Direction.RIGHT)
            edge = height if is_sideways else width
            height, width = (height, width + added) if is_sideways else (height + added, width)
            # Half a window apart, the last at the edge's end.
            found += math.ceil((edge - side) / max(1, side // 2)) + 1
        return found

    @model_validator(mode="after")
    def _stays_in_bounds(self) -> Self:
        if self.num_new is None and (growth := _growth_by_halves(self.directions)) > MAX_GROWTH:
            raise ValueError(
                f"extrapolation.extensions make at least {growth:g} times the policy's picture, at most {MAX_GROWTH} "
                "times are allowed: take fewer, or set extrapolation.num_new to add less each time"
            )
        return self


def _growth_by_halves(directions: tuple[Direction, ...]) -> float:
    """How many times its size a picture of the policy's own has, once each direction added half of one."""
    sideways = sum(each in (Direction.LEFT, Direction.RIGHT) for each in directions)
    return (1 + sideways / 2) * (1 + (len(directions) - sideways) / 2)
