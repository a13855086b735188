"""What the renderer promises to a tokenizer and to the eye."""

import numpy as np
import pytest

from worker.shapes.renderer import DEFAULT_GROUND_TILES, ground_tiles, render
from worker.shapes.world import CELL, COLOURS, GRID_SIZE, PALETTE, SHAPES, PlacedObject, Scene


def cells(picture: np.ndarray) -> np.ndarray:
    """The picture's tokens (GRID_SIZE ** 2, CELL, CELL, 3)."""
    split = picture.reshape(GRID_SIZE, CELL, GRID_SIZE, CELL, 3).transpose(0, 2, 1, 3, 4)
    return split.reshape(-1, CELL, CELL, 3)


def test_the_same_generator_draws_the_same_picture() -> None:
    scene = Scene((PlacedObject("star", "yellow", 1, 2),))
    first, again = (render(scene, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, render(scene, np.random.default_rng(6)))


def test_the_ground_is_made_of_the_tiles_alone_each_about_as_often() -> None:
    rng = np.random.default_rng(0)
    tiles = ground_tiles(DEFAULT_GROUND_TILES)
    counts = np.zeros(DEFAULT_GROUND_TILES)
    for _ in range(20):
        is_tile = (cells(render(Scene(()), rng))[:, None] == tiles).all(axis=(2, 3, 4))
        assert is_tile.any(axis=1).all()
        counts += is_tile.sum(axis=0)
    assert counts.min() > 0.8 * counts.mean()


def test_ground_tiles_differ_and_fewer_are_the_first_of_more() -> None:
    tiles = ground_tiles(12).astype(int)
    distances = np.abs(tiles[:, None] - tiles[None]).mean(axis=(2, 3, 4))
    assert distances[~np.eye(12, dtype=bool)].min() > 5
    assert np.array_equal(ground_tiles(4), ground_tiles(12)[:4])


@pytest.mark.parametrize("num_ground_tiles", [0, 13])
def test_a_number_of_tiles_out_of_bounds_is_refused(num_ground_tiles: int) -> None:
    with pytest.raises(ValueError, match="must be 1 to 12"):
        render(Scene(()), np.random.default_rng(0), num_ground_tiles)


def test_an_object_is_the_same_tokens_wherever_it_stands() -> None:
    rng = np.random.default_rng(0)
    one = render(Scene((PlacedObject("circle", "red", 0, 0),)), rng)[:24, :24]
    other = render(Scene((PlacedObject("circle", "red", 5, 3),)), rng)[40:64, 24:48]
    assert np.array_equal(one, other)


def test_all_objects_together_need_few_enough_tokens_for_a_small_codebook() -> None:
    tokens = set()
    for shape in SHAPES:
        for colour in COLOURS:
            picture = render(Scene((PlacedObject(shape, colour, 0, 0),)), np.random.default_rng(0))
            tokens |= {cell.tobytes() for cell in cells(picture)[[0, 1, 2, 8, 9, 10, 16, 17, 18]]}
    assert len(tokens) < 256


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_shows_its_colour_is_symmetric_and_spans_its_box(shape: str) -> None:
    picture = render(Scene((PlacedObject(shape, "blue", 2, 2),)), np.random.default_rng(0))[16:40, 16:40]  # type: ignore[arg-type]
    assert tuple(picture[13, 12]) == PALETTE["blue"]
    is_blue = picture[..., 2] > 140
    assert np.abs(picture.astype(int) - picture[:, ::-1]).max() < 24
    assert np.ptp(np.flatnonzero(is_blue.any(axis=0))) >= 21
    assert np.ptp(np.flatnonzero(is_blue.any(axis=1))) >= 19
