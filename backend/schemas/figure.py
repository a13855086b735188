"""How an evaluation's figures are read: which share a unit and so an axis, and which are better when lower.

It knows the figures by name alone: pages, the report and the API all take it from here.
"""

from __future__ import annotations

from pydantic import Field

from backend.schemas.base import WireModel
from backend.schemas.reward import RewardName

SHARE = "share"
# Distances from real pictures, and the share of pictures that are nearly alike.
_BETTER_WHEN_LOWER = frozenset({"fid", "fid_infinity", "kid", "kid_standard_error", "near_duplicates"})
_UNITS = {"fid_infinity": "fid", "kid_standard_error": "kid"}
_SHARES_AMONG_REWARDS = frozenset({RewardName.CORRECT, RewardName.DENSE, RewardName.STRICT})
_OF_THEIR_OWN = frozenset({"fid", "kid", "diversity", "pixel_diversity"}) | (set(RewardName) - _SHARES_AMONG_REWARDS)


class FigureKind(WireModel):
    """What a figure's name says of how to draw and judge it."""

    unit: str = Field(description="Figures of one unit share an axis: `share`, or the name of the figure that has it")
    is_lower_better: bool = Field(description="Whether a fall is an improvement, as of `fid`")


def kind_of(name: str) -> FigureKind:
    """The kind of a figure; a name that is none of the known ones is a task's, and so a share."""
    unit = _UNITS.get(name, name if name in _OF_THEIR_OWN else SHARE)
    return FigureKind(unit=unit, is_lower_better=name in _BETTER_WHEN_LOWER)
