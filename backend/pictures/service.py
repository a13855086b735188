"""Pictures from outside, resized and cropped to a policy's cells: DATA_DIR/pictures/<sha256>.png, and what was done."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.artifacts import write_atomically
from backend.errors import MalformedError, NotFoundError
from backend.preflight.service import sizes_of
from backend.reward_tests.folder import sent_picture
from backend.schemas.base import FieldProblem
from backend.schemas.editing import MAX_GROWTH, PICTURE_PREFIX, PICTURES_FOLDER
from backend.schemas.picture import Picture, PictureCreate, PictureFit

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Fitted:
    """A picture of whole cells."""

    image: Image.Image
    num_rows: int
    num_columns: int
    what_was_done: str


def bring_in(wanted: PictureCreate, runs_dir: Path) -> Picture:
    """Fits and keeps a picture; the same one brought in again is the same.

    Raises:
        MalformedError: it cannot be read.
        NotFoundError: the policy, or its sizes, cannot be found.
    """
    sizes = sizes_of(wanted.policy, runs_dir)
    patch = sizes.tokenizer.patch_size
    side = sizes.picture_side // patch
    with Image.open(io.BytesIO(sent_picture(wanted.image))) as sent:
        fitted = fit(sent.convert("RGB"), side, patch, wanted.fit)
    buffer = io.BytesIO()
    fitted.image.save(buffer, format="PNG")
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    found = Picture(
        sha256=sha256,
        name=f"{PICTURE_PREFIX}{sha256}",
        image_url=f"/api/v1/pictures/{sha256}/image",
        policy=wanted.policy.source,
        width=fitted.image.width,
        height=fitted.image.height,
        num_rows=fitted.num_rows,
        num_columns=fitted.num_columns,
        window_side=side,
        what_was_done=fitted.what_was_done,
    )
    root = runs_dir.parent / PICTURES_FOLDER
    write_atomically(root / f"{sha256}.png", buffer.getvalue())
    write_atomically(root / f"{sha256}.json", found.model_dump_json(indent=1).encode())
    return found


def fit(picture: Image.Image, side: int, patch: int, how: PictureFit) -> Fitted:
    """Brings a picture to whole cells.

    Args:
        picture: RGB, of any size.
        side: rows and columns of the policy's own pictures.
        patch: pixels a side of a cell.
        how: what is cut off.

    Returns:
        The picture, its shorter side that of the policy's own.

    Raises:
        MalformedError: so long and thin that nothing is left of it.
    """
    shorter = side * patch
    scale = shorter / min(picture.size)
    size = (max(shorter, round(picture.width * scale)), max(shorter, round(picture.height * scale)))
    if max(size) > 100 * shorter:
        size_now = f"{picture.width} x {picture.height} pixels"
        message = f"the picture has {size_now}: crop it to at most 100 times as long as wide"
        raise MalformedError(message, (FieldProblem(pointer="/image", message=message),))
    # Half of what a picture may have once it has grown, so that there is room left.
    most = side if how is PictureFit.SQUARE else side * MAX_GROWTH // 2
    columns, rows = (min(length // patch, most) for length in size)
    width, height = columns * patch, rows * patch
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    resized = picture.resize(size, Image.Resampling.LANCZOS) if picture.size != size else picture
    before, after = (f"{length} x {height_of}" for length, height_of in (picture.size, size))
    steps = [
        f"resized from {before} to {after} pixels" if picture.size != size else "",
        f"cropped to the middle {width} x {height}" if size != (width, height) else "",
    ]
    said = ", ".join(filter(None, steps)) or "kept as it is"
    return Fitted(resized.crop((left, top, left + width, top + height)), rows, columns, said[0].upper() + said[1:])


def find_picture(runs_dir: Path, sha256: str) -> Picture:
    """A picture that was brought in; NotFoundError when it is not there."""
    return Picture.model_validate_json(_read(runs_dir, sha256, "json"))


def read_picture(runs_dir: Path, sha256: str) -> bytes:
    """Its PNG; NotFoundError when it is not there."""
    return _read(runs_dir, sha256, "png")


def _read(runs_dir: Path, sha256: str, ending: str) -> bytes:
    path = runs_dir.parent / PICTURES_FOLDER / f"{sha256}.{ending}"
    if not _SHA256.fullmatch(sha256) or not path.is_file():
        raise NotFoundError(f"there is no picture {sha256}: bring it in with POST /api/v1/pictures")
    return path.read_bytes()
