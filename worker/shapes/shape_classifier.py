"""Names the shape of a patch by geometry: each shape is an inequality, fitted to the patch by centre and spread.

Knows no drawing routine; fitting by moments rather than by the box forgives the faint tips of stars and triangles.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.shapes.segmentation import Mask
from worker.shapes.world import OBJECT_SIZE, SHAPES, ShapeName

# Two tokens are 16 pixels and four are 32: what lost or gained a row of tokens is no longer an object of this world.
MIN_SIDE = OBJECT_SIZE - 4
MAX_SIDE = OBJECT_SIZE + 4
# A star has twice the edge of a circle for its area, and edges are what blur and noise take.
MIN_OVERLAP: dict[ShapeName, float] = {"circle": 0.9, "square": 0.9, "triangle": 0.9, "star": 0.83, "cross": 0.9}
# No ninth of the box may disagree with the shape by more than this share: one wrong token is a ninth, and would
# cost a square only a ninth of its overlap.
MAX_LOCAL_ERROR = 0.2
STAR_NOTCH = 0.43
MARGIN = 2
TABLE_SIZE = 257
TABLE_REACH = 3.2


def classify_shape(is_inside: Mask) -> tuple[ShapeName | None, float]:
    """Return the shape of a mask over its own box and their overlap (0 to 1); None and 0 if it is malformed."""
    height, width = is_inside.shape
    if max(height, width) > MAX_SIDE:
        return None, 0.0
    seen = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN), dtype=np.bool_)
    seen[MARGIN:-MARGIN, MARGIN:-MARGIN] = is_inside
    rows, spread_y = _standardise(seen.sum(axis=1))
    columns, spread_x = _standardise(seen.sum(axis=0))
    ideals, spreads = _standard_shapes()
    fitted = ideals[:, rows[:, None], columns[None, :]]
    overlaps = (fitted & seen).sum(axis=(1, 2)) / (fitted | seen).sum(axis=(1, 2))
    best = int(overlaps.argmax())
    overlap = float(overlaps[best])
    sides = 2 * np.array([spread_y, spread_x]) / spreads[best]
    is_wrong = (fitted[best] ^ seen)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    is_shape = (
        overlap >= MIN_OVERLAP[SHAPES[best]]
        and sides.min() >= MIN_SIDE
        and sides.max() <= MAX_SIDE
        and _worst_local_error(is_wrong) <= MAX_LOCAL_ERROR
    )
    return (SHAPES[best], overlap) if is_shape else (None, 0.0)


def _standardise(weights: NDArray[np.int_]) -> tuple[NDArray[np.int_], float]:
    """For each row (or column), by the pixels that it holds, its place in the standard shapes; and the spread."""
    at = np.arange(len(weights))
    total = weights.sum()
    centre = (weights * at).sum() / total
    spread = math.sqrt((weights * (at - centre) ** 2).sum() / total + 1 / 12)
    place = ((at - centre) / spread / TABLE_REACH + 1) / 2 * (TABLE_SIZE - 1)
    index: NDArray[np.int_] = np.clip(np.rint(place).astype(int), 0, TABLE_SIZE - 1)
    return index, spread


def _worst_local_error(is_wrong: Mask) -> float:
    """The largest share of wrong pixels in any of the nine equal parts of a box."""
    rows, columns = ([0, round(side / 3), round(2 * side / 3), side] for side in is_wrong.shape)
    counts = np.add.reduceat(np.add.reduceat(is_wrong, rows[:-1], axis=0, dtype=int), columns[:-1], axis=1)
    return float((counts / np.outer(np.diff(rows), np.diff(columns))).max())


@lru_cache(maxsize=1)
def _standard_shapes() -> tuple[Mask, NDArray[np.float64]]:
    """Every shape at centre 0 and spread 1 (len(SHAPES), rows, columns), and its spreads (y, x) in the box +-1."""
    fine = np.linspace(-1, 1, 801)
    reach = np.linspace(-TABLE_REACH, TABLE_REACH, TABLE_SIZE)
    masks, spreads = [], []
    for shape in SHAPES:
        is_in = _is_in_shape(shape, fine[None, :], fine[:, None])
        in_rows, in_columns = is_in.sum(axis=1) / is_in.sum(), is_in.sum(axis=0) / is_in.sum()
        centre = (in_rows * fine).sum()
        spread_y = math.sqrt((in_rows * (fine - centre) ** 2).sum())
        spread_x = math.sqrt((in_columns * fine**2).sum())
        masks.append(_is_in_shape(shape, reach[None, :] * spread_x, reach[:, None] * spread_y + centre))
        spreads.append((spread_y, spread_x))
    return np.stack(masks), np.array(spreads)


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
    """Five points, the first upright: each tenth of a turn is bounded by one line from tip to notch."""
    tenth = math.pi / 5
    right, up = across * math.sin(2 * tenth), 1 - (y + 1) * (1 + math.cos(tenth)) / 2
    radius, turn = np.hypot(right, up), np.arctan2(right, up)
    from_tip = np.abs((turn + tenth) % (2 * tenth) - tenth)
    along, beside = radius * np.cos(from_tip), radius * np.sin(from_tip)
    notch_along, notch_beside = STAR_NOTCH * math.cos(tenth), STAR_NOTCH * math.sin(tenth)
    return along * notch_beside + beside * (1 - notch_along) <= notch_beside
