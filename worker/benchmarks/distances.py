"""How far two sets of feature vectors are apart: Fréchet's distance (FID) and the polynomial kernel's (KID)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KernelDistance:
    """The mean over subsets, and its standard error."""

    mean: float
    standard_error: float


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """The Fréchet distance of the Gaussians with the mean and covariance of (N, D) and (M, D) features.

    Heusel et al. 2017 (arXiv 1706.08500): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), covariances with N - 1.

    Raises:
        ValueError: a set has fewer than two vectors.
    """
    for features in (first, second):
        if len(features) < 2:
            raise ValueError(f"a covariance needs at least 2 vectors, got {len(features)}: give more pictures")
    first, second = first.double(), second.double()
    return gaussian_distance(first.mean(0), torch.cov(first.T), second.mean(0), torch.cov(second.T))


def gaussian_distance(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """The same of two Gaussians: means (D,), covariances (D, D), float64.

    The trace of (C1 C2)^(1/2) is that of the symmetric (S C2 S)^(1/2) with S = C1^(1/2): eigenvalues of symmetric
    matrices are real whatever the rounding.
    """
    covariance_1, covariance_2 = torch.atleast_2d(covariance_1), torch.atleast_2d(covariance_2)
    values, vectors = torch.linalg.eigh(covariance_1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    inner = root @ covariance_2 @ root
    shared = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    squared = (mean_1 - mean_2).square().sum()
    # Below 0 by rounding alone.
    return max(0.0, float(squared + covariance_1.trace() + covariance_2.trace() - 2 * shared))


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


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
