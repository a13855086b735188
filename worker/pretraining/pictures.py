"""Training data of the small world: random scenes for the tokenizer, captioned ones for the transformer.

Knows no model.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from worker.shapes.captions import sample_caption, scene_for
from worker.shapes.renderer import render
from worker.shapes.world import COLOURS, MAX_OBJECTS, SHAPES, PlacedObject, Scene, layouts


def to_pixels(pictures: np.ndarray) -> Tensor:
    """Return (B, 3, H, W) float32 in [0, 1] of (B, H, W, 3) uint8."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def random_pictures(num_pictures: int, rng: np.random.Generator) -> np.ndarray:
    """Return (num_pictures, H, W, 3) uint8 of one to four objects, every shape and colour equally likely."""
    return np.stack([render(_random_scene(rng), rng) for _ in range(num_pictures)])


def distinct_patches(pictures: np.ndarray, patch_size: int) -> np.ndarray:
    """Return (P, patch_size, patch_size, 3) uint8, every patch of the pictures once, in a fixed order."""
    num_pictures, height, width, _ = pictures.shape
    rows, columns = height // patch_size, width // patch_size
    grid = pictures.reshape(num_pictures, rows, patch_size, columns, patch_size, 3).swapaxes(2, 3)
    flat = np.ascontiguousarray(grid.reshape(-1, patch_size * patch_size * 3))
    distinct = {patch.tobytes(): None for patch in flat}
    return np.stack([np.frombuffer(patch, np.uint8).reshape(patch_size, patch_size, 3) for patch in sorted(distinct)])


def captioned_pictures(num_pictures: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yield training captions, each with a picture (H, W, 3) uint8 that shows exactly what it asks for."""
    for _ in range(num_pictures):
        caption = sample_caption(rng, "train")
        yield caption.text, render(scene_for(caption, rng), rng)


def _random_scene(rng: np.random.Generator) -> Scene:
    options = layouts(int(rng.integers(1, MAX_OBJECTS + 1)))
    positions = options[rng.integers(len(options))]
    return Scene(
        tuple(
            PlacedObject(SHAPES[rng.integers(len(SHAPES))], COLOURS[rng.integers(len(COLOURS))], row, column)
            for row, column in positions
        )
    )
