"""Records extrapolation: every unmasking step of every window, on the grid that the pictures have in the end.

So a grown picture is replayed as any other is: what is still to come is masked from the first step, and the windows
fill it one after another. It knows tensors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isqrt

import torch
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.editing import Direction
from worker.maskgrpo.extrapolation import (
    Extension,
    FilledWindow,
    Grid,
    cells_added,
    fill_windows,
    grown_grid,
    window_side,
)
from worker.maskgrpo.sampling import KNOWN_FROM_THE_START
from worker.maskgrpo.types import Policy


@dataclass(frozen=True)
class Growth:
    """What became of B pictures in T steps, on a final grid of N codes row by row, on the CPU; see `Trajectory`."""

    codes: Tensor  # (B, N) int64: the final codes, none masked.
    unmasked_at: Tensor  # (B, N) int64: the step that kept a code, -1 where it was known from the start.
    # (T, B, N) int32: the fixed code; where a window drew one, that; beyond all windows so far, the nearest known one.
    drawn: Tensor
    confidence: Tensor  # (T, B, N) float16: probability of the drawn code; NaN where the step drew none.
    entropy: Tensor  # (T, B, N) float16, nats; NaN likewise.
    log_prob: Tensor  # (T, B) float32.
    grid: Grid

    def index(self, rows: Tensor) -> Growth:
        """The growth of the given pictures, (R,) int64."""
        by_step = {"drawn", "confidence", "entropy", "log_prob"}
        tensors = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "grid"}
        return Growth(
            **{name: value[:, rows] if name in by_step else value[rows] for name, value in tensors.items()},
            grid=self.grid,
        )


def grow(
    policy: Policy,
    codes: Tensor,
    extensions: Sequence[Extension],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    num_new: int | None = None,
) -> Growth:
    """Lets B pictures grow and records how; its arguments, and what it raises, are those of `extrapolate`."""
    added = cells_added(window_side(policy), num_new)
    recorder = _Recorder(codes, [each.direction for each in extensions], added, policy.codebook_size)
    for filled in fill_windows(policy, codes, extensions, seeds, sampling, num_new):
        recorder.record(filled)
    return recorder.finish()


class _Recorder:
    """Puts what windows drew in its place on the final grid."""

    def __init__(self, codes: Tensor, directions: Sequence[Direction], added: int, mask_code: int) -> None:
        self.directions, self.added, self.mask_code = directions, added, mask_code
        self.start = (codes.shape[1], codes.shape[2])
        self.grid = self._size(len(directions) - 1)
        self.codes = torch.full((len(codes), *self.grid), mask_code)
        self.codes[:, *self._place(-1)] = codes.cpu()
        self.unmasked_at = torch.full_like(self.codes, KNOWN_FROM_THE_START)
        self.parts: list[dict[str, Tensor]] = []
        self.num_steps = 0

    def record(self, filled: FilledWindow) -> None:
        """Takes a window that was just filled."""
        trajectory, window = filled.trajectory.to(torch.device("cpu")), filled.window
        square = (isqrt(trajectory.codes.shape[1]),) * 2
        top, left = self._corner(window.extension)
        place = (slice(top + window.top, top + window.top + square[0]),
                 slice(left + window.left, left + window.left + square[1]))  # fmt: skip
        drawn = self._nearest_known(window.extension)[None].repeat(trajectory.num_steps, 1, 1, 1).int()
        drawn[:, :, *place] = trajectory.drawn.unflatten(2, square).int()
        part = {"drawn": drawn, "log_prob": trajectory.log_prob}
        for name in ("confidence", "entropy"):
            part[name] = torch.full(drawn.shape, torch.nan, dtype=torch.float16)
            part[name][:, :, *place] = getattr(trajectory, name).unflatten(2, square).half()
        self.parts.append(part)
        at = trajectory.unmasked_at.unflatten(1, square)
        before = self.unmasked_at[:, *place]
        self.unmasked_at[:, *place] = torch.where(at == KNOWN_FROM_THE_START, before, at + self.num_steps)
        self.codes[:, *place] = trajectory.codes.unflatten(1, square)
        self.num_steps += trajectory.num_steps

    def finish(self) -> Growth:
        """Gives all of it, on one grid."""
        whole = {name: torch.cat([part.pop(name) for part in self.parts]) for name in tuple(self.parts[0])}
        drawn, confidence, entropy = (whole[name].flatten(2) for name in ("drawn", "confidence", "entropy"))
        codes, unmasked_at = self.codes.flatten(1), self.unmasked_at.flatten(1)
        return Growth(codes, unmasked_at, drawn, confidence, entropy, whole["log_prob"], self.grid)

    def _nearest_known(self, extension: int) -> Tensor:
        """(B, rows, columns): the codes so far, and where there is none, that of the nearest row and column that the
        canvas had before this extension. A frame is decoded with it under the grey, so that it shows nothing to come.
        """
        rows, columns = self._place(extension - 1)
        near_rows = torch.arange(self.grid[0]).clamp(rows.start, rows.stop - 1)
        near_columns = torch.arange(self.grid[1]).clamp(columns.start, columns.stop - 1)
        return torch.where(self.codes == self.mask_code, self.codes[:, near_rows][:, :, near_columns], self.codes)

    def _place(self, extension: int) -> tuple[slice, slice]:
        """Where on the final grid the canvas lies that an extension made; -1 for the codes to begin with."""
        (top, left), (height, width) = self._corner(extension), self._size(extension)
        return slice(top, top + height), slice(left, left + width)

    def _corner(self, extension: int) -> tuple[int, int]:
        later = self.directions[extension + 1 :]
        return later.count(Direction.UP) * self.added, later.count(Direction.LEFT) * self.added

    def _size(self, extension: int) -> Grid:
        return grown_grid(self.start, self.directions[: extension + 1], self.added)
