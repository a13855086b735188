"""FID and KID of one policy's pictures as figures, with intervals over prompts, and without each part of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.figures.distances import FID, FID_INFINITY, KID, KID_ERROR, Distances
from backend.figures.jackknife import LEAST_PROMPTS, parts_of
from backend.figures.scores import Figures
from backend.schemas.benchmark import ReferenceConfig
from worker.benchmarks.distances import jackknifed_mmd, kernel_distance
from worker.benchmarks.frechet import Gaussian, frechet_distance, jackknifed_distance

# Pictures a dimension, and prompts a dimension, below which FID's bias does not fall with one over their number.
_PICTURES, _PROMPTS = 2, 1


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference's features (M, D), and their mean and covariance."""

    features: Tensor
    gaussian: Gaussian


def distances(
    features: Tensor, num_prompts: int, reference: Reference, config: ReferenceConfig, seed: int
) -> Distances:
    """FID and KID of a policy's pictures.

    Args:
        features: (num_prompts * num_seeds, D), the pictures of a prompt beside each other.
        num_prompts: with fewer than six there are values alone.
        reference: what the pictures are compared with.
        config: how many subsets KID draws, and of what size.
        seed: of the subsets.
    """
    generator = torch.Generator().manual_seed(seed)
    kid = kernel_distance(features, reference.features, config.kid_subset_size, config.num_kid_subsets, generator)
    values: dict[str, float | None] = {
        FID: frechet_distance(features, reference.gaussian),
        KID: kid.mean,
        KID_ERROR: kid.standard_error,
    }
    if num_prompts < LEAST_PROMPTS:
        return Distances(Figures(values))
    parts = np.repeat(parts_of(num_prompts), len(features) // num_prompts)
    fid = jackknifed_distance(features, parts, reference.gaussian)
    mmd = jackknifed_mmd(features, parts, reference.features)
    low, high = fid.interval(fid.value)
    intervals = {FID: (max(0.0, low), high), KID: mmd.interval(kid.mean, kid.standard_error**2)}
    if is_extrapolated(len(features), num_prompts, reference):
        values[FID_INFINITY] = fid.extrapolated
        intervals[FID_INFINITY] = fid.interval(fid.extrapolated)
    return Distances(Figures(values, intervals), {FID: fid, KID: mmd})


def is_extrapolated(num_pictures: int, num_prompts: int, reference: Reference) -> bool:
    """Whether there are enough pictures for FID's bias to fall with one over their number.

    Only so many dimensions count as the reference's covariance has: its pictures less one at most.
    """
    num_dimensions = reference.gaussian.factor.shape[1]
    return num_pictures >= _PICTURES * num_dimensions and num_prompts >= max(_PROMPTS * num_dimensions, LEAST_PROMPTS)
