"""Where inpainting begins: a picture of the studio as codes, the cells that are painted anew masked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.picture_runs import InpaintingConfig
from worker.showo.policy import ShowoPolicy

_OF_RUN = re.compile(r"run:(?P<run>[^/]+)/(?P<path>.+)")


def start_of(policy: ShowoPolicy, wanted: InpaintingConfig, folder: RunFolder) -> Tensor:
    """(1, N) int64 codes of the picture, the mask's code where the mask says so.

    Raises:
        ValueError: the picture is not there or of another size than the policy's, or the mask has another length.
    """
    picture = _read(wanted.picture, folder)
    codes = policy.encode(picture.to(policy.device))
    num_tokens = policy.num_image_tokens
    if codes.shape[1] != num_tokens:
        side = picture.shape[-1]
        raise ValueError(
            f"inpainting.picture has {side} x {picture.shape[-2]} pixels, which are {codes.shape[1]} tokens, but the "
            f"policy's own pictures have {num_tokens}: take a picture of a policy of the same size"
        )
    if len(wanted.mask) != num_tokens:
        raise ValueError(
            f"inpainting.mask has {len(wanted.mask)} digits, but the policy's pictures have {num_tokens} cells: give "
            "one digit a cell, row by row"
        )
    is_marked = torch.tensor([digit == "1" for digit in wanted.mask], device=codes.device)
    return torch.where(is_marked, policy.codebook_size, codes)


def _read(name: str, folder: RunFolder) -> Tensor:
    """(1, 3, H, W) float32 in [0, 1]."""
    found = _OF_RUN.fullmatch(name)
    path = Path(name) if found is None else RunFolder(folder.root.parent / found["run"]).path(found["path"])
    try:
        with Image.open(path) as opened:
            pixels = np.array(opened.convert("RGB"))
    except FileNotFoundError as error:
        raise ValueError(f"inpainting.picture is {name!r}, but there is no file at {path}") from error
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"inpainting.picture is {name!r}, which cannot be read as a picture: {error}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
