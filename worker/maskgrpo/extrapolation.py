"""Extrapolation: a picture grows beyond its edges, left, right, up and down, one extension after another.

The window that the policy knows is moved over the edge, half on what is known and half on what is not, and the unknown
half is inpainted, as Show-o does it. It knows codes on a grid, and pixels only through the policy.

Departure from Show-o's extrapolation (docs/real-checkpoints.md): directions can be mixed. There, a picture that has
grown wide cannot grow upwards, and growing downwards joins the wrong half; here, a long edge is covered by several
windows, each of which overlaps the one before by half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

import torch.nn.functional as F
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.editing import Direction
from worker.maskgrpo.inpainting import PicturePolicy, grid_of_pictures, settings_for
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy, Trajectory

Grid = tuple[int, int]
"""rows and columns of codes"""


@dataclass(frozen=True)
class Extension:
    """One step of growth."""

    direction: Direction
    prompt: str  # What the new part shows.


@dataclass(frozen=True)
class Window:
    """A place of the policy's window on the canvas of an extension."""

    extension: int  # Place of the extension.
    number: int  # Place of the window in its extension.
    top: int
    left: int
    num_new: int  # Cells of the window that nothing has filled yet.


@dataclass(frozen=True)
class FilledWindow:
    """A window and how it was filled."""

    window: Window
    after: Tensor  # (B, h, w) int64: the canvas with the window filled, K where nothing is yet.
    trajectory: Trajectory  # Of the window's N codes.


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
    canvas = codes.to(policy.device)
    for filled in fill_windows(policy, codes, extensions, seeds, sampling, num_new):
        canvas = filled.after
    return canvas


def fill_windows(
    policy: Policy,
    codes: Tensor,
    extensions: Sequence[Extension],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    num_new: int | None = None,
) -> Iterator[FilledWindow]:
    """Yields the windows of `extrapolate`, whose arguments it takes, one at a time as they are filled."""
    side = window_side(policy)
    added = cells_added(side, num_new)
    canvas, extended = codes.to(policy.device), -1
    for window in planned_windows(_grid(codes), side, [each.direction for each in extensions], added):
        extension = extensions[window.extension]
        if window.extension > extended:
            canvas, extended = _with_margin(canvas, extension.direction, added, policy.codebook_size), window.extension
        rows, columns = slice(window.top, window.top + side), slice(window.left, window.left + side)
        trajectory = rollout(
            policy,
            [extension.prompt] * len(canvas),
            [derived_seed(seed, "extrapolation", window.extension, window.number) for seed in seeds],
            settings_for(window.num_new, sampling),
            start=canvas[:, rows, columns].flatten(1),
        )
        after = canvas.clone()
        after[:, rows, columns] = trajectory.codes.unflatten(1, (side, side))
        yield FilledWindow(window, after, trajectory)
        canvas = after


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
    return policy.decode(grown.flatten(1), _grid(grown))


def window_side(policy: Policy) -> int:
    """Gives the side of the policy's square of codes; ValueError where it is none."""
    side = isqrt(policy.num_image_tokens)
    if side**2 != policy.num_image_tokens or side == 1:
        raise ValueError(f"the policy's pictures have {policy.num_image_tokens} tokens, which make no square to move")
    return side


def cells_added(side: int, num_new: int | None) -> int:
    """Gives the rows or columns that an extension adds, half the window unless told; ValueError out of bounds."""
    added = side // 2 if num_new is None else num_new
    if not 1 <= added < side:
        raise ValueError(f"an extension of {added} rows or columns: a window of {side} codes can add 1 to {side - 1}")
    return added


def planned_windows(start: Grid, side: int, directions: Sequence[Direction], added: int) -> list[Window]:
    """Gives the windows in the order in which they are filled.

    Args:
        start: rows and columns of the codes to begin with.
        side: that of the window.
        directions: of the extensions.
        added: rows or columns that each adds.

    Raises:
        ValueError: the codes to begin with are smaller than the window.
    """
    if min(start) < side:
        raise ValueError(f"codes of {start[0]} x {start[1]} are smaller than the window, {side} x {side}")
    windows = []
    for place, direction in enumerate(directions):
        is_sideways = direction in (Direction.LEFT, Direction.RIGHT)
        height, width = grown_grid(start, directions[: place + 1], added)
        across = (width if is_sideways else height) - side
        outer = 0 if direction in (Direction.LEFT, Direction.UP) else across
        known = 0
        for number, along in enumerate(_starts(height if is_sideways else width, side)):
            top, left = (along, outer) if is_sideways else (outer, along)
            windows.append(Window(place, number, top, left, (along + side - known) * added))
            known = along + side
    return windows


def grown_grid(start: Grid, directions: Sequence[Direction], added: int) -> Grid:
    """Gives the rows and columns of codes that were extended."""
    sideways = sum(each in (Direction.LEFT, Direction.RIGHT) for each in directions)
    return start[0] + (len(directions) - sideways) * added, start[1] + sideways * added


def _grid(codes: Tensor) -> Grid:
    """Gives the rows and columns of (B, h, w) codes."""
    return codes.shape[1], codes.shape[2]


def _with_margin(canvas: Tensor, direction: Direction, added: int, mask_code: int) -> Tensor:
    """Gives the canvas with masked rows or columns on one side."""
    left, right, top, bottom = (added if direction is side else 0 for side in
                                (Direction.LEFT, Direction.RIGHT, Direction.UP, Direction.DOWN))  # fmt: skip
    return F.pad(canvas, (left, right, top, bottom), value=mask_code)


def _starts(length: int, side: int) -> list[int]:
    """Gives where windows begin along an edge: each half a window on, the last at the end."""
    return [*range(0, length - side, max(1, side // 2)), length - side]
