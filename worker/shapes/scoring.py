"""Says how sure shares and paired differences are. Knows neither pictures nor policies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a share."""

    low: float
    high: float


def wilson_interval(num_successes: int, num_trials: int) -> Interval:
    """The 95 % Wilson score interval of a share, which stays within 0 to 1 and is honest at both ends."""
    if not 0 <= num_successes <= num_trials or num_trials == 0:
        raise ValueError(f"{num_successes} successes of {num_trials}: both must be counts, and at least one trial")
    share, z = num_successes / num_trials, NORMAL_95
    middle = (share + z**2 / (2 * num_trials)) / (1 + z**2 / num_trials)
    spread = math.sqrt(share * (1 - share) / num_trials + z**2 / (4 * num_trials**2))
    half_width = z * spread / (1 + z**2 / num_trials)
    return Interval(max(0.0, middle - half_width), min(1.0, middle + half_width))


def paired_difference(
    base: NDArray[np.float64],
    tuned: NDArray[np.float64],
    rng: np.random.Generator,
    num_resamples: int = 2000,
) -> tuple[float, float, float]:
    """Mean of tuned minus base, and its 95 % interval by a bootstrap over prompts.

    Both are scores (num_prompts, num_seeds) of the same prompts and seeds. Prompts are drawn, not pictures: those
    of one prompt resemble each other, and to count them as independent would make the interval too narrow.
    """
    if base.shape != tuned.shape or base.ndim != 2 or base.size == 0:
        raise ValueError(f"base {base.shape} and tuned {tuned.shape} must both be (num_prompts, num_seeds), not empty")
    if num_resamples < 1:
        raise ValueError(f"num_resamples is {num_resamples}: it must be at least 1")
    by_prompt = (np.asarray(tuned, dtype=np.float64) - np.asarray(base, dtype=np.float64)).mean(axis=1)
    drawn = rng.integers(len(by_prompt), size=(num_resamples, len(by_prompt)))
    low, high = np.quantile(by_prompt[drawn].mean(axis=1), [0.025, 0.975])
    return float(by_prompt.mean()), float(low), float(high)
