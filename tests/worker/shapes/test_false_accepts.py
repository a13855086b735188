"""How often the verifier is fooled: pictures a policy could make to please it, or that belong to another prompt."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.shapes.captions import Caption, parse_caption
from worker.shapes.renderer import render
from worker.shapes.verifier import find_objects, verify
from worker.shapes.world import CELL, COLOURS, SHAPES, ColourName, PlacedObject, Scene, ShapeName

TOP, SIDE = 16, 24
# Fewer changed pixels than this, of 576, are a shape that a person would accept too.
MIN_CHANGED = 12
Picture = NDArray[np.uint8]
EVERY = slice(None)
HALVES = [(slice(28), EVERY), (slice(28, None), EVERY), (EVERY, slice(28)), (EVERY, slice(28, None))]


def draw(shape: ShapeName, colour: ColourName, rng: np.random.Generator) -> Picture:
    """One object in the middle of the picture."""
    return render(Scene((PlacedObject(shape, colour, 2, 2),)), rng)


def num_changed(one: Picture, other: Picture) -> int:
    """How many pixels of the object's box differ clearly."""
    box = np.s_[TOP : TOP + SIDE, TOP : TOP + SIDE]
    return int((np.abs(one[box].astype(int) - other[box]).max(axis=-1) > 100).sum())


def token(row: int, column: int) -> tuple[slice, slice]:
    """The pixels of one of the object's nine tokens."""
    top, left = TOP + CELL * row, TOP + CELL * column
    return slice(top, top + CELL), slice(left, left + CELL)


def false_accepts(corrupt: str, num_trials: int = 600) -> float:
    """The share of corrupted single objects in which the verifier finds one whole shape and nothing else."""
    rng = np.random.default_rng(3)
    num_accepted = num_corrupted = 0
    for _ in range(num_trials):
        shape, other = rng.choice(SHAPES, 2, replace=False)
        colour, other_colour = rng.choice(COLOURS, 2, replace=False)
        whole, another = draw(shape, colour, rng), draw(other, colour, rng)
        picture = whole.copy()
        row, column = rng.integers(3, size=2)
        if corrupt == "half erased":
            erased = HALVES[rng.integers(4)]
            picture[erased] = render(Scene(()), rng)[erased]
        elif corrupt == "one token of the ground":
            picture[token(row, column)] = render(Scene(()), rng)[token(row, column)]
        elif corrupt == "one token of another shape":
            picture[token(row, column)] = another[token(row, column)]
        elif corrupt == "one token of another colour":
            picture[token(row, column)] = draw(shape, other_colour, rng)[token(row, column)]
        elif corrupt == "a row of another shape":
            picture[TOP + CELL * row : TOP + CELL * (row + 1)] = another[TOP + CELL * row : TOP + CELL * (row + 1)]
        elif corrupt == "half in another colour":
            picture[:, 28:] = draw(shape, other_colour, rng)[:, 28:]
        if min(num_changed(picture, whole), num_changed(picture, another)) > MIN_CHANGED:
            num_corrupted += 1
            found = find_objects(picture)
            num_accepted += len(found) == 1 and found[0].shape is not None
    assert num_corrupted > num_trials / 3
    return num_accepted / num_corrupted


@pytest.mark.parametrize(
    "corrupt",
    [
        "half erased",
        "one token of the ground",
        "one token of another shape",
        "one token of another colour",
        "a row of another shape",
        "half in another colour",
    ],
)
def test_a_corrupted_shape_is_hardly_ever_accepted(corrupt: str) -> None:
    assert false_accepts(corrupt) <= 0.01


def test_shapes_that_merge_into_one_blob_are_no_shapes() -> None:
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        for gap in (12, 17, 21):
            picture = render(Scene(()), rng)
            stamp = draw(shape, "red", rng)[TOP : TOP + SIDE, TOP : TOP + SIDE]
            for left in (4, 4 + gap):
                is_red = stamp[..., 0] > 140
                picture[20:44, left : left + SIDE][is_red] = stamp[is_red]
            assert not verify(picture, parse_caption(f"two {'crosse' if shape == 'cross' else shape}s")).is_correct


def test_pictures_without_objects_are_empty_and_random_tokens_are_no_shapes() -> None:
    rng = np.random.default_rng(0)
    assert not find_objects(np.zeros((64, 64, 3), np.uint8))
    num_shapes = 0
    for _ in range(200):
        patchwork = render(Scene(()), rng)
        for row, column in rng.integers(8, size=(20, 2)):
            source = draw(rng.choice(SHAPES), rng.choice(COLOURS), rng)
            cut = token(*rng.integers(3, size=2))
            patchwork[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = source[cut]
        num_shapes += sum(found.shape is not None for found in find_objects(patchwork))
    assert num_shapes == 0


def test_flat_pictures_of_one_colour_are_no_object() -> None:
    for colour in ((232, 56, 62), (244, 244, 238), (255, 0, 255), (128, 128, 128)):
        picture = np.broadcast_to(np.array(colour, np.uint8), (64, 64, 3)).copy()
        assert all(found.shape is None for found in find_objects(picture))


def test_shuffled_prompts_score_no_more_than_chance(examples: list[tuple[Caption, NDArray[np.uint8]]]) -> None:
    order = np.random.default_rng(0).permutation(len(examples))
    scores = [verify(examples[other][1], examples[index][0]).is_correct for index, other in enumerate(order)]
    assert np.mean(scores) < 0.12
