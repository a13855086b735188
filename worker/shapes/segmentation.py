"""Splits a picture into patches of one colour. Knows the palette, and nothing of shapes or drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.shapes.world import COLOURS, GROUND, IMAGE_SIZE, PALETTE, ColourName

# A pixel belongs to a colour when it lies near the line from ground to colour and beyond its middle: smooth edges
# then never look like a third colour, and an edge falls where half of the pixel is covered.
MIN_COVERAGE = 0.5
MAX_COLOUR_ERROR = 60.0
# A whole object has 180 pixels or more, and the least that a stray token of an edge shows is about 30.
MIN_PATCH_PIXELS = 24
COLOUR_BITS = 5

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Patch:
    """Connected pixels of one colour; True inside, over its box of top, left, bottom, right (exclusive)."""

    colour: ColourName
    box: Box
    is_inside: Mask


def find_patches(image: NDArray[np.uint8]) -> list[Patch]:
    """All patches of a picture (IMAGE_SIZE, IMAGE_SIZE, 3), uint8, that are larger than noise."""
    if image.shape != (IMAGE_SIZE, IMAGE_SIZE, 3) or image.dtype != np.uint8:
        raise ValueError(
            f"the picture is {image.dtype} {image.shape}: it must be uint8 ({IMAGE_SIZE}, {IMAGE_SIZE}, 3)"
        )
    red, green, blue = np.moveaxis(image >> (8 - COLOUR_BITS), -1, 0)
    colour_index = _colour_table()[red, green, blue]
    num_pixels = np.bincount(colour_index.ravel(), minlength=len(COLOURS) + 1)
    patches: list[Patch] = []
    for index, colour in enumerate(COLOURS):
        if num_pixels[index] >= MIN_PATCH_PIXELS:
            patches += _patches_of(colour_index == index, colour)
    return patches


def _patches_of(is_colour: Mask, colour: ColourName) -> list[Patch]:
    """The connected parts of a mask of one colour; pixels that touch by a corner only are not connected."""
    labels, num_labels = ndimage.label(is_colour)
    sizes = np.bincount(labels.ravel(), minlength=num_labels + 1)
    patches = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[label] >= MIN_PATCH_PIXELS:
            box = (rows.start, columns.start, rows.stop, columns.stop)
            patches.append(Patch(colour, box, labels[rows, columns] == label))
    return patches


@lru_cache(maxsize=1)
def _colour_table() -> NDArray[np.uint8]:
    """The colour's index for every coarse RGB value (three axes of 2 ** COLOUR_BITS), or len(COLOURS) for none."""
    step = 2 ** (8 - COLOUR_BITS)
    levels = np.arange(0, 256, step) + (step - 1) / 2
    above_ground = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1) - np.array(GROUND)
    errors, coverages = [], []
    for colour in COLOURS:
        direction = np.array(PALETTE[colour], dtype=np.float64) - np.array(GROUND)
        coverage = np.clip(above_ground @ direction / (direction @ direction), 0, 1)
        coverages.append(coverage)
        errors.append(np.linalg.norm(above_ground - coverage[..., None] * direction, axis=-1))
    nearest = np.argmin(errors, axis=0)
    is_colour = (np.min(errors, axis=0) <= MAX_COLOUR_ERROR) & (
        np.take_along_axis(np.array(coverages), nearest[None], axis=0)[0] >= MIN_COVERAGE
    )
    return np.where(is_colour, nearest, len(COLOURS)).astype(np.uint8)
