"""Says how sure shares and paired differences are. Knows neither pictures nor policies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959964
# Prompts times draws that are held at once: 16 MiB.
_AT_ONCE = 2**21


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


def wilson_interval(num_successes: float, num_trials: float) -> Interval:
    """The 95 % Wilson score interval of a share, which stays within 0 to 1 and is honest at both ends.

    The counts may be fractions: those of as many independent trials as dependent ones are worth.
    """
    if not 0 <= num_successes <= num_trials or num_trials == 0:
        raise ValueError(f"{num_successes} successes of {num_trials}: both must be counts, and at least one trial")
    share, z = num_successes / num_trials, NORMAL_95
    middle = (share + z**2 / (2 * num_trials)) / (1 + z**2 / num_trials)
    spread = math.sqrt(share * (1 - share) / num_trials + z**2 / (4 * num_trials**2))
    half_width = z * spread / (1 + z**2 / num_trials)
    return Interval(max(0.0, middle - half_width), min(1.0, middle + half_width))


def exact_interval(num_successes: float, num_trials: float) -> Interval:
    """The 95 % interval of a share that is never too narrow, however few the trials (Clopper & Pearson 1934).

    The counts may be fractions, as Wilson's (Korn & Graubard 1998).
    """
    if not 0 <= num_successes <= num_trials or num_trials == 0:
        raise ValueError(f"{num_successes} successes of {num_trials}: both must be counts, and at least one trial")
    # The web process starts without scipy: few of its requests need it.
    from scipy.special import betaincinv  # noqa: PLC0415

    num_failures = num_trials - num_successes
    low = betaincinv(num_successes, num_failures + 1, 0.025) if num_successes > 0 else 0.0
    high = betaincinv(num_successes + 1, num_failures, 0.975) if num_failures > 0 else 1.0
    return Interval(float(low), float(high))


def share_of_prompts(outcomes: NDArray[np.float64]) -> Interval:
    """Wilson's interval of the share of ones among (num_prompts, num_seeds), whose prompts alone are independent.

    The seeds of a prompt resemble each other, so the pictures count as fewer: divided by how much more the prompts'
    means vary than independent pictures would let them (Korn & Graubard 1998), between 1 and the seeds a prompt. Where
    all pictures agree that is not known, and only prompts count.
    """
    num_prompts, num_seeds = outcomes.shape
    share = float(outcomes.mean())
    num_effective = float(num_prompts)
    if num_prompts > 1 and 0 < share < 1:
        of_independent = share * (1 - share) / num_seeds
        design_effect = float(outcomes.mean(axis=1).var(ddof=1)) / of_independent
        num_effective *= num_seeds / min(max(design_effect, 1.0), num_seeds)
    return wilson_interval(share * num_effective, num_effective)


def mean_of_shares(shares: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """The interval of the mean of independent shares, of each one's own (Zou & Donner 2008): within 0 to 1 as they."""
    mean, number = sum(shares) / len(shares), len(shares)
    below = math.sqrt(sum((share - each.low) ** 2 for share, each in zip(shares, intervals, strict=True))) / number
    above = math.sqrt(sum((each.high - share) ** 2 for share, each in zip(shares, intervals, strict=True))) / number
    return Interval(mean - below, mean + above)


def mean_of_tasks(
    by_prompt: NDArray[np.float64],
    tasks: Sequence[Sequence[int]],
    rng: np.random.Generator,
    num_resamples: int = 2000,
) -> Interval | None:
    """The 95 % interval of the mean over tasks of their prompts' means, by a bootstrap over prompts within each task.

    Prompts are drawn, not pictures: those of one prompt resemble each other, and to count them as independent would
    make the interval too narrow. Draws of n prompts vary less than prompts do, by (n - 1) / n, and their quantiles are
    a normal distribution's; the interval is widened about the mean by both (Hesterberg 2015, section 3.3).

    Args:
        by_prompt: (num_prompts,) means over a prompt's seeds.
        tasks: each task's prompts, at least one task and one prompt in each.
        rng: draws the prompts.
        num_resamples: how often.

    Returns:
        None where a task has one prompt alone: how prompts differ is not known.
    """
    if num_resamples < 1:
        raise ValueError(f"num_resamples is {num_resamples}: it must be at least 1")
    if not tasks or any(len(rows) < 2 for rows in tasks):
        return None
    drawn = np.zeros(num_resamples)
    variance, of_draws = 0.0, 0.0
    for rows in tasks:
        values = by_prompt[list(rows)]
        drawn += _drawn_means(values, rng, num_resamples) / len(tasks)
        variance += float(values.var(ddof=1)) / len(values)
        of_draws += float(values.var()) / len(values)
    mean = float(np.mean([by_prompt[list(rows)].mean() for rows in tasks]))
    if of_draws == 0:
        return Interval(mean, mean)
    num_free = sum(len(rows) - 1 for rows in tasks)
    widening = student_quantile(num_free) / NORMAL_95 * math.sqrt(variance / of_draws)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(mean + widening * (float(low) - mean), mean + widening * (float(high) - mean))


def student_quantile(num_free: int) -> float:
    """What a Student's t of so many degrees of freedom is below in 97.5 % of cases."""
    # The web process starts without scipy: few of its requests need it.
    from scipy.special import stdtrit  # noqa: PLC0415

    return float(stdtrit(num_free, 0.975))


def _drawn_means(values: NDArray[np.float64], rng: np.random.Generator, num_resamples: int) -> NDArray[np.float64]:
    """(num_resamples,) means of as many values as there are, drawn with replacement; the same however few at once."""
    size = max(1, _AT_ONCE // len(values))
    return np.concatenate(
        [
            values[rng.integers(len(values), size=(min(size, num_resamples - start), len(values)))].mean(axis=1)
            for start in range(0, num_resamples, size)
        ]
    )
