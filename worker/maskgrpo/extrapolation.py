"""Extrapolation: a picture grows beyond its edges, left, right, up and down, one extension after another.

The window that the policy knows is moved over the edge, half on what is known and half on what is not, and the unknown
half is inpainted, as Show-o does it. It knows codes on a grid, and pixels only through the policy.

Departure from Show-o's extrapolation (docs/real-checkpoints.md): directions can be mixed. There, a picture that has
grown wide cannot grow upwards, and growing downwards joins the wrong half; here, a long edge is covered by several
windows, each of which overlaps the one before by half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig
from worker.maskgrpo.inpainting import PicturePolicy, grid_of_pictures, inpaint
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy


class Direction(StrEnum):
    """The side on which a picture grows."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True)
class Extension:
    """One step of growth."""

    direction: Direction
    prompt: str  # What the new part shows.


def extrapolate(
    policy: Policy,
    codes: Tensor,
    extensions: Sequence[Extension],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    num_new: int | None = None,
) -> Tensor:
    """Lets B pictures grow, extension by extension.

    Args:
        policy: the policy that samples; its window is a square of N codes.
        codes: (B, h, w) int64 in [0, K), at least as high and wide as the window.
        extensions: what is added, in this order.
        seeds: B seeds; every window of every extension draws from seeds derived from them.
        sampling: steps, temperature, guidance of each window; see `inpaint`.
        num_new: rows or columns that an extension adds, 1 to the window's side - 1; None for half the window.

    Returns:
        (B, h', w') int64; the codes given stand in it unchanged.

    Raises:
        ValueError: the policy's window is no square, the codes are smaller than it, or `num_new` is out of bounds.
    """
    side = _window_side(policy)
    added = side // 2 if num_new is None else num_new
    if not 1 <= added < side:
        raise ValueError(f"an extension of {added} rows or columns: a window of {side} codes can add 1 to {side - 1}")
    if min(codes.shape[1:]) < side:
        raise ValueError(f"codes of {codes.shape[1]} x {codes.shape[2]} are smaller than the window, {side} x {side}")
    canvas = codes.to(policy.device)
    for place, extension in enumerate(extensions):
        canvas = _with_margin(canvas, extension.direction, added, policy.codebook_size)
        for number, (top, left) in enumerate(_windows(canvas.shape[1:], extension.direction, side)):
            window = canvas[:, top : top + side, left : left + side]
            drawn = [derived_seed(seed, "extrapolation", place, number) for seed in seeds]
            is_new = (window == policy.codebook_size).flatten(1)
            prompts = [extension.prompt] * len(canvas)
            painted = inpaint(policy, window.flatten(1), is_new, prompts, drawn, sampling)
            canvas[:, top : top + side, left : left + side] = painted.view(window.shape)
    return canvas


def extrapolate_pictures(
    policy: PicturePolicy,
    pictures: Tensor,
    extensions: Sequence[Extension],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    num_new: int | None = None,
) -> Tensor:
    """Lets B pictures grow; (B, 3, H, W) float in [0, 1] become (B, 3, H', W'). See `extrapolate`."""
    codes = policy.encode(pictures.to(policy.device))
    codes = codes.unflatten(1, grid_of_pictures(pictures, codes.shape[1]))
    grown = extrapolate(policy, codes, extensions, seeds, sampling, num_new)
    rows, columns = grown.shape[1:]
    return policy.decode(grown.flatten(1), (rows, columns))


def _window_side(policy: Policy) -> int:
    side = isqrt(policy.num_image_tokens)
    if side**2 != policy.num_image_tokens or side == 1:
        raise ValueError(f"the policy's pictures have {policy.num_image_tokens} tokens, which make no square to move")
    return side


def _with_margin(canvas: Tensor, direction: Direction, added: int, mask_code: int) -> Tensor:
    """Gives the canvas with masked rows or columns on one side."""
    left, right, top, bottom = (added if direction is side else 0 for side in
                                (Direction.LEFT, Direction.RIGHT, Direction.UP, Direction.DOWN))  # fmt: skip
    return F.pad(canvas, (left, right, top, bottom), value=mask_code)


def _windows(shape: torch.Size, direction: Direction, side: int) -> list[tuple[int, int]]:
    """Gives the top and left of the windows that cover an edge, in the order in which they are filled."""
    height, width = shape
    if direction in (Direction.LEFT, Direction.RIGHT):
        left = 0 if direction is Direction.LEFT else width - side
        return [(top, left) for top in _starts(height, side)]
    top = 0 if direction is Direction.UP else height - side
    return [(top, left) for left in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    """Gives where windows begin along an edge: each half a window on, the last at the end."""
    return [*range(0, length - side, max(1, side // 2)), length - side]
