"""Names the shape of a patch by geometry: each shape is an inequality, brought to the patch by centre and spread.

Knows no drawing routine; matching by moments rather than by the box forgives the faint tips of stars and triangles.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.shapes.segmentation import Mask
from worker.shapes.world import OBJECT_SIZE, SHAPES, ShapeName

# Two tokens are 16 pixels and four are 32: a shape that lost or gained a row of tokens is no longer a shape.
MIN_SIDE = OBJECT_SIZE - 6
MAX_SIDE = OBJECT_SIZE + 3
MIN_OVERLAP = 0.84
# No ninth of the box may disagree with the shape by more than this share: one wrong token is a ninth, and would
# cost a square only a ninth of its overlap.
MAX_LOCAL_ERROR = 0.34
STAR_NOTCH = 0.43
MARGIN = 2
TABLE_SIZE = 257
TABLE_REACH = 3.2


def classify_shape(is_inside: Mask) -> tuple[ShapeName | None, float]:
    """Return the shape that a mask over its own box shows, None for a malformed one, and the best overlap, 0 to 1."""
    height, width = is_inside.shape
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        return None, 0.0
    seen = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN), dtype=np.bool_)
    seen[MARGIN:-MARGIN, MARGIN:-MARGIN] = is_inside
    rows, columns = _table_index(seen.sum(axis=1)), _table_index(seen.sum(axis=0))
    ideals = _standard_shapes()[:, rows[:, None], columns[None, :]]
    overlaps = (ideals & seen).sum(axis=(1, 2)) / (ideals | seen).sum(axis=(1, 2))
    best = int(overlaps.argmax())
    overlap = float(overlaps[best])
    is_wrong = (ideals[best] ^ seen)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    is_shape = overlap >= MIN_OVERLAP and _worst_local_error(is_wrong) <= MAX_LOCAL_ERROR
    return (SHAPES[best] if is_shape else None), overlap


def _table_index(weights: NDArray[np.int_]) -> NDArray[np.int_]:
    """Where each row (or column) falls in the standard shapes, given how many pixels of the patch it holds."""
    at = np.arange(len(weights))
    total = weights.sum()
    centre = (weights * at).sum() / total
    spread = math.sqrt((weights * (at - centre) ** 2).sum() / total + 1 / 12)
    index = ((at - centre) / spread / TABLE_REACH + 1) / 2 * (TABLE_SIZE - 1)
    return np.clip(np.rint(index).astype(int), 0, TABLE_SIZE - 1)


def _worst_local_error(is_wrong: Mask) -> float:
    """The largest share of wrong pixels in any of the nine equal parts of a box."""
    rows, columns = (np.linspace(0, side, 4).round().astype(int) for side in is_wrong.shape)
    counts = np.add.reduceat(np.add.reduceat(is_wrong.astype(int), rows[:-1], axis=0), columns[:-1], axis=1)
    return float((counts / np.outer(np.diff(rows), np.diff(columns))).max())


@lru_cache(maxsize=1)
def _standard_shapes() -> Mask:
    """Every shape at centre 0 and spread 1 along both axes, over +-TABLE_REACH (len(SHAPES), rows, columns)."""
    fine = np.linspace(-1, 1, 801)
    reach = np.linspace(-TABLE_REACH, TABLE_REACH, TABLE_SIZE)
    shapes = []
    for shape in SHAPES:
        is_in = _is_in_shape(shape, fine[None, :], fine[:, None])
        centre_y = (is_in.sum(axis=1) * fine).sum() / is_in.sum()
        spread_y = math.sqrt((is_in.sum(axis=1) * (fine - centre_y) ** 2).sum() / is_in.sum())
        spread_x = math.sqrt((is_in.sum(axis=0) * fine**2).sum() / is_in.sum())
        shapes.append(_is_in_shape(shape, reach[None, :] * spread_x, reach[:, None] * spread_y + centre_y))
    return np.stack(shapes)


def _is_in_shape(shape: ShapeName, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Whether points (x to the right, y down) belong to a shape that fills the box from -1 to 1."""
    across, down = np.abs(x), np.abs(y)
    is_in_box = (across <= 1) & (down <= 1)
    if shape == "circle":
        return x**2 + y**2 <= 1
    if shape == "triangle":
        return is_in_box & (2 * across <= y + 1)
    if shape == "cross":
        return is_in_box & ((across <= 1 / 3) | (down <= 1 / 3))
    if shape == "star":
        return _is_in_star(across, y)
    return is_in_box


def _is_in_star(across: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Five points, the first upright: every tenth of the turn is bounded by one line, from a tip to a notch."""
    tenth = math.pi / 5
    right, up = across * math.sin(2 * tenth), 1 - (y + 1) * (1 + math.cos(tenth)) / 2
    radius, turn = np.hypot(right, up), np.arctan2(right, up)
    from_tip = np.abs((turn + tenth) % (2 * tenth) - tenth)
    along, beside = radius * np.cos(from_tip), radius * np.sin(from_tip)
    notch_along, notch_beside = STAR_NOTCH * math.cos(tenth), STAR_NOTCH * math.sin(tenth)
    return along * notch_beside + beside * (1 - notch_along) <= notch_beside
