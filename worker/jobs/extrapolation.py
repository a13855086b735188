"""Extrapolation as a sample run asks for it: a picture of the studio grows, once for each seed, within bounds."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.algorithm import SamplingConfig
from backend.schemas.editing import MAX_GROWTH, ExtrapolationConfig
from worker.jobs.pictures import decoder
from worker.jobs.showing import Shown, judge
from worker.jobs.source_picture import source_codes
from worker.maskgrpo.extrapolation import Extension, cells_added, grown_grid, planned_windows, window_side
from worker.maskgrpo.growth import grow
from worker.maskgrpo.inpainting import settings_for
from worker.showo.policy import ShowoPolicy

MAX_RECORDED = 2**21
"""cells times unmasking steps of one picture: what a browser still loads as its replay"""
MAX_RECORDED_OF_A_GROUP = 2**27
"""the same of all pictures of a prompt, which are held in memory together, 8 bytes each"""


def source_of(policy: ShowoPolicy, wanted: ExtrapolationConfig, folder: RunFolder) -> Tensor:
    """(1, h, w) int64 codes of the picture that grows.

    Raises:
        ValueError: it is not there, or smaller than the policy's own.
    """
    codes, (rows, columns) = source_codes(policy, wanted.picture, folder, "extrapolation.picture")
    side = window_side(policy)
    if min(rows, columns) < side:
        raise ValueError(
            f"extrapolation.picture has {rows} rows and {columns} columns of cells, the policy's own pictures have "
            f"{side} of each: take a picture that is at least as large"
        )
    return codes.unflatten(1, (rows, columns))


def refuse_unbounded(
    source: Tensor, side: int, wanted: ExtrapolationConfig, sampling: SamplingConfig, num_seeds: int
) -> None:
    """Refuses what would grow too large to be stored or looked at.

    Args:
        source: (1, h, w) codes.
        side: of the policy's own square of codes.
        wanted: how they grow.
        sampling: the steps of each window.
        num_seeds: pictures of a prompt.

    Raises:
        ValueError: names the value, the bound and the cure.
    """
    added, directions = cells_added(side, wanted.num_new), wanted.directions
    start = (source.shape[1], source.shape[2])
    rows, columns = grown_grid(start, directions, added)
    if rows * columns > MAX_GROWTH * side**2:
        raise ValueError(
            f"extrapolation.extensions make {rows} rows and {columns} columns of cells, {rows * columns}, but at most "
            f"{MAX_GROWTH * side**2} are allowed, {MAX_GROWTH} times the policy's picture: take fewer, or lower "
            "extrapolation.num_new"
        )
    windows = planned_windows(start, side, directions, added)
    num_steps = sum(settings_for(each.num_new, sampling).num_unmasking_steps for each in windows)
    recorded = num_steps * rows * columns
    if recorded > MAX_RECORDED:
        raise ValueError(
            f"extrapolation takes {num_steps} unmasking steps, in {len(windows)} windows, on {rows * columns} cells, "
            f"{recorded:,} to record; at most {MAX_RECORDED:,}: lower sampling.num_unmasking_steps, or let the picture "
            "grow in two runs, the second from what the first made"
        )
    if recorded * num_seeds > MAX_RECORDED_OF_A_GROUP:
        raise ValueError(
            f"samples_per_prompt is {num_seeds}, but of pictures that grow so large at most "
            f"{MAX_RECORDED_OF_A_GROUP // recorded} go together: lower it, and give a second run another seed"
        )


def show_grown(
    policy: ShowoPolicy,
    source: Tensor,
    wanted: ExtrapolationConfig,
    prompt: str,
    seeds: tuple[int, ...],
    sampling: SamplingConfig,
) -> Shown:
    """Lets the (1, h, w) source grow once for each seed; an extension without a prompt of its own follows `prompt`."""
    extensions = [Extension(each.direction, each.prompt or prompt) for each in wanted.extensions]
    codes = source.expand(len(seeds), -1, -1)
    growth = grow(policy, codes, extensions, seeds, sampling, wanted.num_new)
    with torch.no_grad():
        pictures = decoder(policy, growth.grid)(growth.codes).cpu()
    return Shown(prompt, seeds, growth, pictures, judge(pictures, prompt), growth.grid)
