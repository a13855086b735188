"""Inpainting: the marked cells of a picture are unmasked anew for a prompt, all others stay as they are.

The loop is that of plain sampling from a start that is known in part, as Show-o does it, guidance included. It knows
codes and masks, and pixels only through the policy's encoder and decoder.

Departure 1 from Show-o's inpainting (docs/real-checkpoints.md): the schedule counts the cells that were masked at the
beginning, not all cells of a picture; there, a small mask is held back for most of the steps and then filled at once.
Departure 2: a cell is masked when at least half of its area is marked; there, the mask is read at a few points only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.types import Policy

MASKED_SHARE = 0.5
"""A cell is painted anew when this much of its area is marked."""


class PicturePolicy(Policy, Protocol):
    """A policy that also reads pictures."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Codes (B, n) int64, row by row, of pictures (B, 3, H, W) float32 in [0, 1]."""
        ...

    def decode(self, codes: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] of codes (B, n); `shape` as (rows, columns), None for a square."""
        ...


def grid_of_pictures(pictures: Tensor, num_codes: int) -> tuple[int, int]:
    """Gives the rows and columns of the token grid of (B, 3, H, W) pictures of which each has `num_codes` codes."""
    height, width = pictures.shape[-2:]
    cell = round((height * width / num_codes) ** 0.5)
    return height // cell, width // cell


def masked_cells(mask: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resizes a drawn mask to the token grid.

    Args:
        mask: (B, H, W) bool, or float in [0, 1]: 1 where the picture is to be painted anew; of any size.
        grid: rows and columns of the token grid.

    Returns:
        (B, rows * columns) bool: True where at least half of the cell's area is marked.

    Raises:
        ValueError: another number of sides, or values outside [0, 1].
    """
    if mask.dim() != 3:
        raise ValueError(
            f"the mask's shape is {tuple(mask.shape)}: give (pictures or 1, height, width), without a side for colours"
        )
    marked = mask.float()
    if not bool(((marked >= 0) & (marked <= 1)).all()):
        raise ValueError(
            f"the mask's values go from {float(marked.min()):g} to {float(marked.max()):g}: give 0 (keep) to 1 (paint)"
        )
    return (F.adaptive_avg_pool2d(marked[:, None], grid) >= MASKED_SHARE).flatten(1)


def inpaint(
    policy: Policy,
    codes: Tensor,
    is_repainted: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampling: SamplingConfig,
) -> Tensor:
    """Draws the marked codes of B pictures anew. A picture depends on its own row, prompt and seed alone.

    Args:
        policy: the policy that samples.
        codes: (B, N) int64 in [0, K); what stands at marked places is not read.
        is_repainted: (B, N) bool, True where a code is drawn anew; any mask with at least one True in every row.
        prompts: B prompts.
        seeds: B seeds.
        sampling: steps, temperature, guidance. A picture with fewer marked cells than steps takes as many steps.

    Returns:
        (B, N) int64: drawn where marked, else as given. With everything marked, exactly what `rollout` makes.

    Raises:
        ValueError: shapes that differ, or a picture of which nothing is marked.
    """
    if codes.shape != is_repainted.shape or len(prompts) != len(codes) or len(seeds) != len(codes):
        raise ValueError(
            f"codes are {tuple(codes.shape)}, marks {tuple(is_repainted.shape)}, with {len(prompts)} prompts and "
            f"{len(seeds)} seeds: give one row of marks, one prompt and one seed for each row of codes"
        )
    start = torch.where(is_repainted.to(policy.device), policy.codebook_size, codes.to(policy.device))
    counts = is_repainted.sum(dim=1).tolist()
    if 0 in counts:
        raise ValueError(
            f"nothing is marked in picture {counts.index(0)}: mark at least {MASKED_SHARE:.0%} of one cell's area"
        )
    painted = start.clone()
    for count in dict.fromkeys(counts):
        rows = [row for row, found in enumerate(counts) if found == count]
        texts, chosen = [prompts[row] for row in rows], [seeds[row] for row in rows]
        painted[rows] = rollout(policy, texts, chosen, settings_for(count, sampling), start=start[rows]).codes
    return painted


def settings_for(num_masked: int, sampling: SamplingConfig) -> SamplingConfig:
    """Gives the settings for pictures with `num_masked` masked cells: with fewer of them than steps, as many steps."""
    return sampling.model_copy(update={"num_unmasking_steps": min(sampling.num_unmasking_steps, num_masked)})


def inpaint_pictures(
    policy: PicturePolicy,
    pictures: Tensor,
    mask: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    sampling: SamplingConfig,
) -> Tensor:
    """Paints the marked parts of B pictures anew.

    Args:
        policy: the policy that samples; it reads and makes the pictures.
        pictures: (B, 3, H, W) float in [0, 1], of the policy's own size.
        mask: (B, H', W') or (1, H', W'), see `masked_cells`.
        prompts: B prompts.
        seeds: B seeds.
        sampling: see `inpaint`.

    Returns:
        (B, 3, H, W) float32 in [0, 1]. Cells that were not marked keep their codes; their pixels are those that the
        image tokenizer makes of them, and near a marked cell they may follow it.

    Raises:
        ValueError: pictures of another size, or a mask that marks nothing.
    """
    codes = policy.encode(pictures.to(policy.device))
    if codes.shape[1] != policy.num_image_tokens:
        raise ValueError(
            f"a picture of {pictures.shape[-1]} x {pictures.shape[-2]} pixels has {codes.shape[1]} tokens, the "
            f"policy's own have {policy.num_image_tokens}: resize and crop it to the policy's size first"
        )
    grid = grid_of_pictures(pictures, codes.shape[1])
    cells = masked_cells(mask, grid).expand(len(codes), -1)
    return policy.decode(inpaint(policy, codes, cells, prompts, seeds, sampling), grid)
