"""How unlike the pictures of one prompt are: by features, by pixels, and the share of nearly equal pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Diversity:
    """Of one prompt's pictures, over all its pairs."""

    cosine_distance: float
    """mean of 1 - cosine of the features, 0 to 2"""
    pixel_distance: float
    """mean of the root mean square difference of pixels in [0, 1]"""
    near_duplicates: float
    """share of pairs whose cosine distance is below the threshold"""


def diversity(features: Tensor, pictures: Tensor, near_duplicate_distance: float) -> Diversity:
    """Compares the pictures of one prompt with each other.

    Args:
        features: (S, D) of any length.
        pictures: (S, 3, H, W) float32 in [0, 1].
        near_duplicate_distance: pairs with a cosine distance below this are near-duplicates.

    Raises:
        ValueError: there are fewer than two pictures.
    """
    number = len(features)
    if number < 2:
        raise ValueError(
            f"diversity compares pictures of one prompt, got {number}: set samples_per_prompt to 2 or more"
        )
    rows, columns = torch.triu_indices(number, number, offset=1)
    unit = F.normalize(features.double(), dim=-1)
    cosine = 1 - (unit[rows] * unit[columns]).sum(-1)
    pixels = (pictures[rows] - pictures[columns]).double().square().flatten(1).mean(1).sqrt()
    # Equal pictures have a distance of 0 but for rounding, and a threshold of 0 counts none.
    near = (cosine.clamp(min=0) < near_duplicate_distance).double()
    return Diversity(float(cosine.clamp(min=0).mean()), float(pixels.mean()), float(near.mean()))
