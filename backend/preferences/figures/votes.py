"""Votes as arrays, one entry a vote; what was chosen is told by a pair's two pictures, whatever their sides were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SEED = 20260
NO_GOLD, NO_ANSWER = -1, -2
NUM_RESAMPLES = 1000


class Outcome(IntEnum):
    """What a vote chose; a skipped pair is no vote."""

    FIRST = 0
    SECOND = 1
    TIE = 2
    BOTH_BAD = 3


@dataclass(frozen=True)
class Votes:
    """N votes that count: neither undone nor skipped. All arrays have shape (N,)."""

    rater: Ints
    """whose vote it is, from 0"""
    pair: Ints
    """which pair was judged, from 0"""
    prompt: Ints
    """which prompt the pair belongs to, from 0"""
    policy_0: Ints
    """which policy made the pair's first picture"""
    policy_1: Ints
    outcome: Ints
    """an Outcome"""
    is_first_left: Flags
    """True = the first picture stood on the left"""
    milliseconds: Floats
    """from showing to choosing"""
    known: Ints
    """the answer of a gold pair as an Outcome; NO_GOLD = no gold pair, NO_ANSWER = one whose answer no vote can give"""

    def __len__(self) -> int:
        return len(self.rater)

    def __getitem__(self, kept: Flags | Ints) -> Votes:
        return Votes(**{each.name: getattr(self, each.name)[kept] for each in fields(self)})

    @property
    def is_gold(self) -> Flags:
        """Which votes are of gold pairs."""
        is_gold: Flags = self.known != NO_GOLD
        return is_gold

    def without_gold(self) -> Votes:
        """The votes whose answer nobody knew: those that say something about policies."""
        return self[~self.is_gold]

    def without_raters(self, raters: Sequence[int]) -> Votes:
        """The votes of all other raters."""
        return self[~np.isin(self.rater, np.asarray(raters, dtype=np.int64))]


def preferences(outcome: Ints) -> Ints:
    """Return the outcomes with both-bad counted as a tie: neither picture was preferred."""
    return np.where(outcome == Outcome.BOTH_BAD, int(Outcome.TIE), outcome)


def first_shares(outcome: Ints) -> Floats:
    """Return (N,): 1 where the first picture was preferred, 0 where the second, a half where neither."""
    return np.array([1.0, 0.0, 0.5, 0.5])[outcome]


def numbered(values: Sequence[Any]) -> tuple[Ints, list[Any]]:
    """Numbers in order of first appearance, and what each number stands for."""
    places: dict[Any, int] = {}
    numbers = np.array([places.setdefault(value, len(places)) for value in values], dtype=np.int64)
    return numbers, list(places)
