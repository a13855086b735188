"""The picture that an edit begins with, as codes: those that it was made of where they are known, else encoded anew."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.editing import picture_path
from worker.jobs.pictures import to_bytes
from worker.maskgrpo.inpainting import grid_of_pictures
from worker.showo.policy import ShowoPolicy

_OF_RUN = re.compile(r"run:(?P<run>[^/]+)/(?P<path>.+)")
_OF_GROUP = re.compile(r"samples/(?P<group>.+)-(?P<index>\d+)\.png")
_LEVELS = 2
"""of 256 by which a pixel may differ where another machine decodes the same codes"""


def source_codes(policy: ShowoPolicy, name: str, folder: RunFolder, field: str) -> tuple[Tensor, tuple[int, int]]:
    """The codes of a picture, and the rows and columns of their grid.

    A picture of a run was made of codes that its trajectory holds. Where the policy's tokenizer makes the same picture
    of them, they are taken: encoding a decoded picture may change some, and so would every further edit.

    Args:
        policy: whose codes they are.
        name: as a configuration names the picture.
        folder: of the run that edits; other runs lie beside it.
        field: of the configuration, for what is told.

    Returns:
        (1, n) int64 on the policy's device, row by row.

    Raises:
        ValueError: the picture is not there, is none, or is no multiple of the pixels of a code.
    """
    found = _OF_RUN.fullmatch(name)
    origin = None if found is None else RunFolder(folder.root.parent / found["run"])
    pixels = _read(picture_path(name, folder.root.parent), name, field)
    if origin is not None and found is not None:
        known = _recorded(policy, origin, found["path"], pixels)
        if known is not None:
            return known
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    codes = policy.encode(picture.to(policy.device))
    return codes, grid_of_pictures(picture, codes.shape[1])


def _read(path: Path, name: str, field: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(H, W, 3)."""
    try:
        with Image.open(path) as opened:
            return np.array(opened.convert("RGB"))
    except FileNotFoundError as error:
        raise ValueError(f"{field} is {name!r}, but there is no file at {path}") from error
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{field} is {name!r}, which cannot be read as a picture: {error}") from error


def _recorded(
    policy: ShowoPolicy, origin: RunFolder, path: str, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> tuple[Tensor, tuple[int, int]] | None:
    """The codes that a run's picture was made of; None where they are not kept, or are another tokenizer's."""
    place = _OF_GROUP.fullmatch(path)
    if place is None:
        return None
    try:
        with np.load(io.BytesIO(origin.read(f"trajectories/{place['group']}.npz")), allow_pickle=False) as arrays:
            codes = torch.from_numpy(arrays["codes"][[int(place["index"])]].astype(np.int64)).to(policy.device)
            rows, columns = (int(size) for size in arrays["grid"])
    except (OSError, KeyError, IndexError, ValueError):
        return None
    if int(codes.max()) >= policy.codebook_size:
        return None
    decoded = to_bytes(policy.decode(codes, (rows, columns)))[0]
    is_same = decoded.shape == pixels.shape and np.abs(decoded.astype(int) - pixels).max() <= _LEVELS
    return (codes, (rows, columns)) if is_same else None
