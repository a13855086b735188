"""Pictures as a reward model wants them: resized, cropped and normalised on their own device, without PIL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """What a model's authors did to pictures before they showed them to it."""

    size: tuple[int, int]
    """height and width that the model takes"""
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    """shortest: then crop the middle; longest: then pad with black; squash: both sides, whatever the shape"""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"


def prepare(pictures: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Resize with antialiasing, as PIL does, crop or pad the middle, and normalise.

    Args:
        pictures: (B, 3, H, W) float32 in [0, 1].
        preprocessing: the model's own.

    Returns:
        (B, 3, *size) float32. It differs from PIL's way by PIL's rounding to 8 bits, less than 1/255 before `std`.
    """
    height, width = preprocessing.size
    sides = _resized_sides(pictures.shape[-2:], preprocessing)
    if sides != tuple(pictures.shape[-2:]):
        pictures = F.interpolate(
            pictures, sides, mode=preprocessing.interpolation, antialias=True, align_corners=False
        ).clamp(0, 1)
    top, left = _margin(height - sides[0]), _margin(width - sides[1])
    # Negative padding crops.
    pictures = F.pad(pictures, (left, width - sides[1] - left, top, height - sides[0] - top))
    mean = torch.tensor(preprocessing.mean, device=pictures.device)[:, None, None]
    std = torch.tensor(preprocessing.std, device=pictures.device)[:, None, None]
    return (pictures - mean) / std


def _resized_sides(sides: torch.Size, preprocessing: Preprocessing) -> tuple[int, int]:
    height, width = preprocessing.size
    if preprocessing.resize_mode == "squash":
        return height, width
    ratios = (height / sides[0], width / sides[1])
    if preprocessing.resize_mode == "longest":
        return tuple(round(side * min(ratios)) for side in sides)  # type: ignore[return-value]
    # Rounded down, as torchvision does, but never below what is cropped.
    return max(height, int(sides[0] * max(ratios))), max(width, int(sides[1] * max(ratios)))


def _margin(room: int) -> int:
    """What is padded before the picture, or cropped where there is too little room; odd ones as in torchvision."""
    return room // 2 if room >= 0 else -round(-room / 2)
