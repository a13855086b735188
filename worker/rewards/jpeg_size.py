"""Rewards pictures that compress well: no network, no caption, and a plain way to see a policy follow its reward."""

from __future__ import annotations

import io

from PIL import Image

from worker.rewards.picture import JudgedPicture

QUALITY = 90


def jpeg_size(picture: JudgedPicture) -> float:
    """The picture's size as JPEG of quality 90, in KiB, negated."""
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).save(buffer, format="JPEG", quality=QUALITY)
    return -buffer.tell() / 1024
