"""Brings a part's values to a common scale before they are weighted. Knows no reward."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.schemas.reward import RewardConfig, RewardNormalisation


def normalised(values: Tensor, config: RewardConfig) -> Tensor:
    """Return (B,) values, finite float32, as they enter the sum.

    A z-score is over the pictures judged together and needs two of them; where all are equal it is 0 for each.
    """
    if config.normalisation is RewardNormalisation.AFFINE:
        return (values - config.mean) / config.std
    if config.normalisation is RewardNormalisation.BATCH:
        if len(values) < 2 or bool((values == values[0]).all()):
            return torch.zeros_like(values)
        return (values - values.mean()) / values.std(correction=0)
    return values
