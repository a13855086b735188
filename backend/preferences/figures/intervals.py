"""Intervals and tests of shares and of resampled figures, all 95 %."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backend.preferences.figures.votes import Floats

_Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


def wilson(successes: float, num_trials: int) -> Interval | None:
    """Wilson's score interval of a share (Wilson 1927); None of no trials.

    `successes` may have halves, since a tie counts a half. The interval is then wider than it had to be: a half spreads
    less than a coin does.
    """
    if num_trials == 0:
        return None
    share, square = successes / num_trials, _Z**2
    centre = (share + square / (2 * num_trials)) / (1 + square / num_trials)
    half = _Z * math.sqrt(share * (1 - share) / num_trials + square / (4 * num_trials**2)) / (1 + square / num_trials)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def fair_coin_p_value(num_heads: int, num_tosses: int) -> float:
    """How often a fair coin lands at least as far from half as this, either way: the exact two-sided binomial test."""
    if num_tosses == 0:
        return 1.0
    counts = np.arange(num_tosses + 1)
    logs = np.cumsum(np.log(np.maximum(counts, 1)))
    chances = np.exp(logs[-1] - logs - logs[::-1] - num_tosses * math.log(2))
    is_as_far = np.abs(counts - num_tosses / 2) >= abs(num_heads - num_tosses / 2)
    return float(min(1.0, chances[is_as_far].sum()))


def wider(first: Interval | None, second: Interval | None) -> Interval | None:
    """The interval that holds both.

    Draws of few raters and prompts resemble each other, and a bootstrap of them is surer than anybody may be; what a
    model of single votes says knows nothing of raters and prompts. Neither's narrowness is trusted.
    """
    if first is None or second is None:
        return first or second
    return Interval(min(first.low, second.low), max(first.high, second.high))


def normal(value: float, deviation: float) -> Interval:
    """The interval of a normal distribution."""
    return Interval(value - _Z * deviation, value + _Z * deviation)


def percentiles(resampled: Floats) -> Interval | None:
    """The percentile interval of a bootstrap; draws that say nothing (NaN) do not count. None of fewer than 20."""
    told = resampled[~np.isnan(resampled)]
    if len(told) < 20:
        return None
    low, high = np.quantile(told, [0.025, 0.975])
    return Interval(float(low), float(high))
