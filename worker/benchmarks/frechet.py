"""FID: how far feature vectors are from a reference's, as Gaussians; and the same without each part of the prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.figures.jackknife import Jackknifed


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The mean (D,) and the covariance F F^T of (N, D) features, by a factor F (D, r) with the smaller of D and N."""

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Gaussian:
        """In float64, with N - 1 under the covariance.

        Raises:
            ValueError: there are fewer than two vectors.
        """
        check_number(features)
        features = features.double()
        mean = features.mean(0)
        centred = features - mean
        if len(centred) <= centred.shape[1]:
            return cls(mean, centred.T / (len(centred) - 1) ** 0.5)
        values, vectors = torch.linalg.eigh(centred.T @ centred / (len(centred) - 1))
        return cls(mean, vectors * values.clamp(min=0).sqrt())

    @property
    def trace(self) -> Tensor:
        """Of the covariance."""
        return self.factor.square().sum()


def check_number(features: Tensor) -> None:
    """Raises ValueError where a covariance would be undefined."""
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 vectors, got {len(features)}: give more pictures")


def frechet_distance(features: Tensor, reference: Gaussian) -> float:
    """The Fréchet distance of (N, D) features from a reference.

    Heusel et al. 2017 (arXiv 1706.08500): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), covariances with N - 1.

    Raises:
        ValueError: there are fewer than two vectors.
    """
    check_number(features)
    features = features.double()
    return _distance(features, (features - reference.mean) @ reference.factor, reference)


def jackknifed_distance(features: Tensor, parts: NDArray[np.int64], reference: Gaussian) -> Jackknifed:
    """The same of all features, and without each part; the reference is held.

    It costs one set of eigenvalues a part, of a matrix with the smallest of D, N and the reference's number a side.

    Args:
        features: (N, D).
        parts: (N,) the part that each belongs to, counted from 0.
        reference: what all are compared with.

    Raises:
        ValueError: without one of the parts, fewer than two vectors are left.
    """
    features = features.double()
    projected = (features - reference.mean) @ reference.factor
    rows = [torch.from_numpy(parts != part) for part in range(int(parts.max()) + 1)]
    for kept in rows:
        check_number(features[kept])
    without = [_distance(features[kept], projected[kept], reference) for kept in rows]
    return Jackknifed(_distance(features, projected, reference), np.array(without))


def _distance(features: Tensor, projected: Tensor, reference: Gaussian) -> float:
    """Of features (N, D) and their products with the reference's factor (N, r).

    With C1 = X^T X / (N - 1) of centred X, the trace of (C1 C2)^(1/2) is the sum of the singular values of X F over the
    root of N - 1: of the roots of the eigenvalues of its smaller Gram matrix, real whatever the rounding.
    """
    number = len(features)
    centred = projected - projected.mean(0)
    gram = centred @ centred.T if number < centred.shape[1] else centred.T @ centred
    shared = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum() / (number - 1) ** 0.5
    squared = (features.mean(0) - reference.mean).square().sum()
    # Below 0 by rounding alone.
    return max(0.0, float(squared + features.var(0).sum() + reference.trace - 2 * shared))
