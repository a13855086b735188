"""A picture and its prompt as a reward sees them, with one verdict that all rewards of the verifier share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from worker.shapes.captions import parse_caption
from worker.shapes.verifier import Verdict, verify


@dataclass(frozen=True, eq=False)
class JudgedPicture:
    """One picture (H, W, 3) uint8 and what it was asked to show."""

    pixels: NDArray[np.uint8]
    prompt: str

    @cached_property
    def verdict(self) -> Verdict:
        """What the verifier finds; ValueError where the prompt is no caption of the small world."""
        return verify(self.pixels, parse_caption(self.prompt))


def judged_pictures(pictures: Tensor, prompts: Sequence[str]) -> list[JudgedPicture]:
    """Pair (B, 3, H, W) float pictures in [0, 1] with B prompts."""
    if pictures.shape[0] != len(prompts):
        raise ValueError(
            f"there are {pictures.shape[0]} pictures and {len(prompts)} prompts: give one prompt a picture"
        )
    pixels = (pictures.detach() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [JudgedPicture(each, prompt) for each, prompt in zip(pixels, prompts, strict=True)]
