"""Sees to it that a pair's pictures are of one size, read from their files: size would tell a rater what made them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from PIL import Image

from backend.artifacts import run_folder
from backend.errors import MalformedError
from backend.schemas.base import FieldProblem


def check_sizes(runs_dir: Path, pairs: Iterable[Mapping[str, Any]]) -> None:
    """Compares the two pictures of each pair; one whose file is gone or is no picture is not compared.

    Args:
        runs_dir: where the runs' folders lie.
        pairs: as stored: `side_0` and `side_1` with `run_id`, `image_path` and `policy`.

    Raises:
        MalformedError: at the first pair whose pictures are of two sizes.
    """
    for pair in pairs:
        sides = pair["side_0"], pair["side_1"]
        first, second = (_size_of(runs_dir, side) for side in sides)
        if first is None or second is None or first == second:
            continue
        (width, height), (other_width, other_height) = first, second
        message = (
            f"{pair['prompt']!r} has pictures of {width} x {height} pixels by {sides[0]['policy']} and of "
            f"{other_width} x {other_height} by {sides[1]['policy']}: their size would tell raters which is which; "
            "make both of one size"
        )
        raise MalformedError(message, (FieldProblem(pointer="/source", message=message),))


def _size_of(runs_dir: Path, side: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height in pixels, of the file's first bytes."""
    try:
        with Image.open(run_folder(runs_dir, UUID(side["run_id"])).path(side["image_path"])) as picture:
            return picture.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
