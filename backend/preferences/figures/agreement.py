"""Krippendorff's alpha for nominal data: how much more raters agree than chance would have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.preferences.figures.intervals import Interval, percentiles
from backend.preferences.figures.resampling import drawn_counts
from backend.preferences.figures.votes import NUM_RESAMPLES, SEED, Floats, Ints

# Draws of fewer resemble each other too much to tell how sure a figure is.
FEWEST_CLUSTERS = 5


@dataclass(frozen=True)
class Alpha:
    """Agreement of raters: 1 = they always agree, 0 = as by chance, below = less than by chance."""

    value: float | None
    """None where no pair has two votes, or where all votes are the same, which leaves chance nothing to do"""
    interval: Interval | None
    """None of fewer than five clusters"""
    num_pairs: int
    """pairs of two votes or more; others say nothing about agreement"""
    num_votes: int
    """votes of those pairs"""


def krippendorff_alpha(
    unit: Ints, category: Ints, cluster: Ints, *, num_resamples: int = NUM_RESAMPLES, seed: int = SEED
) -> Alpha:
    """Alpha of values that several raters gave to units (Krippendorff 2011, nominal metric; missing values allowed).

    The interval is a bootstrap that draws whole clusters, say prompts, with all their units.

    Args:
        unit: (N,) what each value was given to, from 0.
        category: (N,) the value, from 0.
        cluster: (N,) what the value's unit belongs to, from 0.
    """
    if len(unit) == 0:
        return Alpha(None, None, 0, 0)
    counts, clusters = _counts(unit, category, cluster)
    sizes = counts.sum(axis=1)
    # Pairs of differing values within a unit, each unit weighed as Krippendorff's coincidences are.
    differing = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)
    told = np.concatenate([counts, differing[:, None]], axis=1)
    _, numbers = np.unique(clusters, return_inverse=True)
    num_clusters = int(numbers.max(initial=-1)) + 1
    sums = np.zeros((num_clusters, told.shape[1]))
    np.add.at(sums, numbers, told)
    value = _alpha(told.sum(axis=0, keepdims=True))[0]
    interval = None
    if not np.isnan(value) and num_clusters >= FEWEST_CLUSTERS:
        drawn = drawn_counts(np.random.default_rng(seed), num_clusters, num_resamples)
        interval = percentiles(_alpha(drawn @ sums))
    return Alpha(None if np.isnan(value) else float(value), interval, len(counts), int(sizes.sum()))


def _counts(unit: Ints, category: Ints, cluster: Ints) -> tuple[Floats, Ints]:
    """How often each unit of two values or more was given each category, and each unit's cluster."""
    counts = np.zeros((int(unit.max()) + 1, int(category.max()) + 1))
    np.add.at(counts, (unit, category), 1)
    clusters = np.zeros(len(counts), dtype=np.int64)
    clusters[unit] = cluster
    is_shared = counts.sum(axis=1) >= 2
    return counts[is_shared], clusters[is_shared]


def _alpha(sums: Floats) -> Floats:
    """Return (B,) alphas of (B, C + 1): how often each category was given, and the observed disagreement."""
    given, observed = sums[:, :-1], sums[:, -1]
    total = given.sum(axis=1)
    expected = total**2 - (given**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)
