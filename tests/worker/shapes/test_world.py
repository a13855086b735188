"""The world's own promises: objects never touch, colours are far apart, and the ground is far from every colour."""

from itertools import combinations

import numpy as np
import pytest

from worker.shapes.renderer import MAX_GROUND_TILES, ground_tiles
from worker.shapes.world import GROUND, PALETTE, PlacedObject, Scene, are_apart, layouts


def test_objects_without_a_free_token_between_them_are_refused() -> None:
    with pytest.raises(ValueError, match="less than 1 token apart"):
        Scene((PlacedObject("circle", "red", 0, 0), PlacedObject("star", "blue", 0, 3)))
    assert len(Scene((PlacedObject("circle", "red", 0, 0), PlacedObject("star", "blue", 0, 4))).objects) == 2


@pytest.mark.parametrize("position", [(-1, 0), (0, 6), (6, 2)])
def test_an_object_that_leaves_the_picture_is_refused(position: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside the grid"):
        PlacedObject("circle", "red", *position)


def test_an_unknown_shape_or_colour_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'dog' is not one of circle"):
        PlacedObject("dog", "red", 0, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'pink' is not one of red"):
        PlacedObject("circle", "pink", 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_objects", [1, 2, 3, 4])
def test_layouts_are_distinct_and_their_objects_apart(num_objects: int) -> None:
    found = layouts(num_objects)
    assert len(set(found)) == len(found) > 50 * (num_objects > 1)
    assert all(are_apart(one, other) for layout in found for one, other in combinations(layout, 2))


def test_five_objects_do_not_fit() -> None:
    with pytest.raises(ValueError, match="5 objects do not fit"):
        layouts(5)


def test_colours_are_far_from_each_other_and_from_every_pixel_of_the_ground() -> None:
    colours = np.array(list(PALETTE.values()), dtype=float)
    assert min(np.linalg.norm(one - other) for one, other in combinations(colours, 2)) > 145
    assert np.linalg.norm(colours - np.array(GROUND), axis=1).min() > 150
    ground = ground_tiles(MAX_GROUND_TILES).reshape(-1, 1, 3).astype(float)
    assert np.linalg.norm(ground - colours, axis=-1).min() > 90
