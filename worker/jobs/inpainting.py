"""Where inpainting begins: a picture of the studio as codes, the cells that are painted anew masked."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.editing import InpaintingConfig
from worker.jobs.source_picture import source_codes
from worker.showo.policy import ShowoPolicy


def start_of(policy: ShowoPolicy, wanted: InpaintingConfig, folder: RunFolder) -> Tensor:
    """(1, N) int64 codes of the picture, the mask's code where the mask says so.

    Raises:
        ValueError: the picture is not there or of another size than the policy's, or the mask has another length.
    """
    codes, (rows, columns) = source_codes(policy, wanted.picture, folder, "inpainting.picture")
    num_tokens = policy.num_image_tokens
    if rows != columns or rows * columns != num_tokens:
        raise ValueError(
            f"inpainting.picture has {rows} rows and {columns} columns of cells, but the policy's own pictures have "
            f"{num_tokens} cells in a square: take a picture of a policy of the same size that did not grow"
        )
    if len(wanted.mask) != num_tokens:
        raise ValueError(
            f"inpainting.mask has {len(wanted.mask)} digits, but the policy's pictures have {num_tokens} cells: give "
            "one digit a cell, row by row"
        )
    is_marked = torch.tensor([digit == "1" for digit in wanted.mask], device=codes.device)
    return torch.where(is_marked, policy.codebook_size, codes)
