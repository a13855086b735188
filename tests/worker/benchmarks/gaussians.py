"""The Fréchet distance of two Gaussians by their moments: the closed form that estimates are tested against."""

from __future__ import annotations

import numpy as np
from scipy.linalg import sqrtm
from torch import Tensor


def gaussian_distance(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the root by scipy."""
    root = sqrtm((covariance_1 @ covariance_2).numpy()).real
    squared = (mean_1 - mean_2).square().sum()
    return float(squared + covariance_1.trace() + covariance_2.trace() - 2 * np.trace(root))
