"""Draws a scene: flat shapes with smooth edges on speckled tiles. Knows no caption and no verifier.

The ground is textured because on a plain one most tokens are one code, which confident sampling takes first.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from worker.shapes.world import (
    CELL,
    GRID_SIZE,
    GROUND,
    IMAGE_SIZE,
    OBJECT_SIZE,
    PALETTE,
    Scene,
    ShapeName,
)

# Six tiles leave no code with more than a sixth of the ground, which is what frees the sampler, while the
# ground's entropy (ln 6 = 1.8 nats a token, against 2.5 with twelve) adds less noise to the policy gradient.
DEFAULT_GROUND_TILES = 6
MAX_GROUND_TILES = 12
SUPERSAMPLING = 16
SPECKLES = (
    (2, 2, 30),
    (1, 2, 44),
    (2, 1, 30),
    (1, 1, 64),
    (1, 2, -14),
    (2, 2, -12),
)  # height, width, brightness

Pixels = NDArray[np.uint8]
Polygon = list[tuple[float, float]]


def render(scene: Scene, rng: np.random.Generator, num_ground_tiles: int = DEFAULT_GROUND_TILES) -> Pixels:
    """Return the picture (IMAGE_SIZE, IMAGE_SIZE, 3), uint8; rng chooses every cell's tile."""
    tiles = ground_tiles(num_ground_tiles)
    chosen = tiles[rng.integers(num_ground_tiles, size=(GRID_SIZE, GRID_SIZE))]
    picture = chosen.transpose(0, 2, 1, 3, 4).reshape(IMAGE_SIZE, IMAGE_SIZE, 3).copy()
    for placed in scene.objects:
        top, left = placed.row * CELL, placed.column * CELL
        picture[top : top + OBJECT_SIZE, left : left + OBJECT_SIZE] = _stamp(placed.shape, PALETTE[placed.colour])
    return picture


@lru_cache(maxsize=MAX_GROUND_TILES)
def ground_tiles(num_ground_tiles: int) -> Pixels:
    """The first of a fixed series (num_ground_tiles, CELL, CELL, 3): dark tones with own speckles."""
    if not 1 <= num_ground_tiles <= MAX_GROUND_TILES:
        raise ValueError(f"num_ground_tiles is {num_ground_tiles}: it must be 1 to {MAX_GROUND_TILES}")
    return np.stack([_ground_tile(index) for index in range(num_ground_tiles)])


def _ground_tile(index: int) -> Pixels:
    """One tile; tone and speckles both differ, so that a tokenizer has reason to keep tiles apart."""
    rng = np.random.default_rng([20, index])
    tones = np.array([(-12, -12, -14), (6, 4, 0), (-4, 2, 12), (14, 14, 18), (-2, 8, 6), (10, 0, 12)])
    tile = np.tile(np.array(GROUND) + tones[index % len(tones)], (CELL, CELL, 1))
    spots = rng.permutation(16)
    for spot, (height, width, amount) in zip(spots, SPECKLES, strict=False):
        top, left = 2 * (spot // 4), 2 * (spot % 4)
        tile[top : top + height, left : left + width] += amount
    speckled: Pixels = np.clip(tile, 0, 255).astype(np.uint8)
    return speckled


@lru_cache(maxsize=64)
def _stamp(shape: ShapeName, colour: tuple[int, int, int]) -> Pixels:
    """A shape on plain ground: without speckles under its edges it is always the same few tokens."""
    coverage = _coverage(shape)[..., None]
    blend = coverage * np.array(colour) + (1 - coverage) * np.array(GROUND)
    stamp: Pixels = np.rint(blend).astype(np.uint8)
    return stamp


@lru_cache(maxsize=8)
def _coverage(shape: ShapeName) -> NDArray[np.float64]:
    """The share of each pixel that the shape covers (OBJECT_SIZE, OBJECT_SIZE), 0 to 1."""
    side = OBJECT_SIZE * SUPERSAMPLING
    canvas = Image.new("L", (side, side), 0)
    # PIL counts from the middle of a pixel, so half a pixel less keeps the shapes symmetric.
    outline = [(x * SUPERSAMPLING - 0.5, y * SUPERSAMPLING - 0.5) for x, y in _outline(shape)]
    ImageDraw.Draw(canvas).polygon(outline, fill=1)
    blocks = np.asarray(canvas, dtype=np.float64).reshape(OBJECT_SIZE, SUPERSAMPLING, OBJECT_SIZE, SUPERSAMPLING)
    coverage: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return coverage


def _outline(shape: ShapeName) -> Polygon:
    """The corners of a shape in pixels, within a box of OBJECT_SIZE."""
    size = float(OBJECT_SIZE)
    middle = size / 2
    if shape == "circle":
        return _ring(180, (middle, middle), (middle, middle))
    if shape == "star":
        radius = size / (2 * math.sin(2 * math.pi / 5))
        return _ring(10, (radius, radius * 0.45), (middle, middle + radius * (1 - math.cos(math.pi / 5)) / 2))
    if shape == "triangle":
        return [(middle, 1.0), (size, size - 1.0), (0.0, size - 1.0)]
    if shape == "cross":
        near, far = size / 3, size * 2 / 3
        arm = [(near, 0.0), (far, 0.0), (far, near), (size, near), (size, far), (far, far)]
        return arm + [(size - x, size - y) for x, y in arm]
    return [(0.0, 0.0), (size, 0.0), (size, size), (0.0, size)]


def _ring(num_corners: int, radii: tuple[float, float], centre: tuple[float, float]) -> Polygon:
    """Corners around a centre from the top on, at the two radii in turn."""
    corners = []
    for index in range(num_corners):
        angle = 2 * math.pi * index / num_corners
        radius = radii[index % 2]
        corners.append((centre[0] + radius * math.sin(angle), centre[1] - radius * math.cos(angle)))
    return corners
