"""KID: how far two sets of feature vectors are apart by a polynomial kernel, also without each part of the prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.figures.jackknife import Jackknifed

# Vectors whose kernel with all others is held at once.
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class KernelDistance:
    """The mean over subsets, and the standard error over these, as published: too small, for they share pictures."""

    mean: float
    standard_error: float


def kernel_distance(
    first: Tensor, second: Tensor, subset_size: int, num_subsets: int, generator: torch.Generator
) -> KernelDistance:
    """The unbiased squared MMD of (N, D) and (M, D) features, the kernel (x.y / D + 1)^3, over random subsets.

    Binkowski et al. 2018 (arXiv 1801.01401). A subset is no larger than the smaller set.

    Raises:
        ValueError: a set has fewer than two vectors.
    """
    size = min(subset_size, len(first), len(second))
    if size < 2:
        raise ValueError(f"KID needs at least 2 vectors of each set, got {len(first)} and {len(second)}")
    found = []
    for _ in range(num_subsets):
        x = first[torch.randperm(len(first), generator=generator)[:size]].double()
        y = second[torch.randperm(len(second), generator=generator)[:size]].double()
        found.append(squared_mmd(x, y))
    distances = torch.stack(found)
    return KernelDistance(float(distances.mean()), float(distances.std() / num_subsets**0.5))


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate of the squared MMD of (N, D) and (M, D) vectors, which may be below 0."""
    within_x, within_y, between = (_kernel(a, b) for a, b in ((x, x), (y, y), (x, y)))
    num_x, num_y = len(x), len(y)
    return (
        (within_x.sum() - within_x.trace()) / (num_x * (num_x - 1))
        + (within_y.sum() - within_y.trace()) / (num_y * (num_y - 1))
        - 2 * between.mean()
    )


def jackknifed_mmd(features: Tensor, parts: NDArray[np.int64], reference: Tensor) -> Jackknifed:
    """The squared MMD of all (N, D) features from (M, D) of a reference, and without each part; the reference is held.

    What is the reference's alone is left out: it is the same without every part, and in every policy's figure. It
    costs the kernel of each vector with all others, a few at a time.

    Args:
        features: (N, D).
        parts: (N,) the part that each belongs to, counted from 0.
        reference: (M, D).

    Raises:
        ValueError: without one of the parts, fewer than two vectors are left.
    """
    x, y, place = features.double(), reference.double(), torch.from_numpy(parts)
    sizes = torch.bincount(place)
    if len(x) - int(sizes.max()) < 2:
        raise ValueError(f"KID needs at least 2 vectors without any part, got {len(x)} in all: give more pictures")
    within = torch.zeros(len(sizes), len(sizes), dtype=torch.float64)
    between = torch.zeros(len(sizes), dtype=torch.float64)
    for start in range(0, len(x), _ROWS_AT_ONCE):
        some, own = x[start : start + _ROWS_AT_ONCE], place[start : start + _ROWS_AT_ONCE]
        kernel = _kernel(some, x)
        kernel[torch.arange(len(some)), torch.arange(start, start + len(some))] = 0
        by_part = torch.zeros(len(some), len(sizes), dtype=torch.float64).index_add_(1, place, kernel)
        within.index_add_(0, own, by_part)
        between.index_add_(0, own, _kernel(some, y).sum(1))

    def distance(kept: Tensor) -> float:
        number = int(sizes[kept].sum())
        return float(
            within[kept][:, kept].sum() / (number * (number - 1)) - 2 * between[kept].sum() / (number * len(y))
        )

    every = torch.ones(len(sizes), dtype=torch.bool)
    without = [distance(every & (torch.arange(len(sizes)) != part)) for part in range(len(sizes))]
    return Jackknifed(distance(every), np.array(without))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
