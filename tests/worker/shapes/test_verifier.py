"""The verifier is right on ground truth, applies GenEval's rules, and says why."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from worker.shapes import segmentation, shape_classifier, verifier
from worker.shapes.captions import TASKS, Caption, parse_caption
from worker.shapes.renderer import render
from worker.shapes.verifier import Verdict, find_objects, relations_between, verify
from worker.shapes.world import COLOURS, SHAPES, PlacedObject, Scene

CORNERS = ((0, 0), (0, 5), (5, 0), (5, 5))


def judge(text: str, *things: tuple[str, str]) -> Verdict:
    """The verdict on a picture with these (shape, colour) in its corners, in reading order."""
    placed = [PlacedObject(*thing, *corner) for thing, corner in zip(things, CORNERS, strict=False)]  # type: ignore[arg-type]
    return verify(render(Scene(tuple(placed)), np.random.default_rng(0)), parse_caption(text))


def test_more_than_99_percent_of_ground_truth_is_right_and_strict_in_every_task(
    examples: list[tuple[Caption, NDArray[np.uint8]]],
) -> None:
    verdicts = [(caption.task, verify(picture, caption)) for caption, picture in examples]
    num_images = Counter(task for task, _ in verdicts)
    num_strict = Counter(task for task, verdict in verdicts if verdict.is_strict)
    assert len(verdicts) >= 600
    assert all(num_strict[task] > 0.99 * num_images[task] for task in TASKS)
    assert all(verdict.dense == 1 for _, verdict in verdicts if verdict.is_correct)


def test_ground_truth_stays_right_when_blurred_and_noisy_as_a_small_decoder_leaves_it(
    examples: list[tuple[Caption, NDArray[np.uint8]]],
) -> None:
    rng = np.random.default_rng(0)
    num_right = 0
    for caption, picture in examples[:300]:
        blurred = ndimage.gaussian_filter(picture.astype(float), (0.8, 0.8, 0)) + rng.normal(0, 10, picture.shape)
        num_right += verify(np.clip(blurred, 0, 255).astype(np.uint8), caption).is_strict
    assert num_right > 0.99 * 300


def test_every_shape_of_every_colour_is_found_where_it_is() -> None:
    for shape in SHAPES:
        for colour in COLOURS:
            picture = render(Scene((PlacedObject(shape, colour, 1, 4),)), np.random.default_rng(0))
            (found,) = find_objects(picture)
            assert (found.shape, found.colour) == (shape, colour)
            assert found.confidence > 0.9
            assert np.allclose(found.box, (8, 32, 32, 56), atol=2)


def test_an_empty_picture_satisfies_nothing_whatever_is_asked() -> None:
    empty = render(Scene(()), np.random.default_rng(0))
    texts = (
        "a star",
        "a star and a cross",
        "two stars",
        "a red star",
        "a star above a cross",
        "a red star and a blue cross",
    )
    verdicts = [verify(empty, parse_caption(text)) for text in texts]
    assert all(verdict.dense == 0 and not verdict.is_correct and not verdict.found for verdict in verdicts)


@pytest.mark.parametrize("text", ["a circle", "a circle and a star", "a red circle", "a circle left of a star"])
def test_extra_objects_are_forgiven_but_not_strict(text: str) -> None:
    verdict = judge(text, ("circle", "red"), ("star", "blue"), ("cross", "white"))
    assert verdict.is_correct
    assert not verdict.is_strict


@pytest.mark.parametrize(("num_stars", "dense"), [(1, 0.5), (2, 0.75), (3, 1.0), (4, 0.75)])
def test_counting_is_exact_and_one_too_many_costs_as_much_as_one_too_few(num_stars: int, dense: float) -> None:
    verdict = judge("three stars", *[("star", "red")] * num_stars)
    assert verdict.is_correct == (num_stars == 3)
    assert verdict.dense == dense


def test_counting_looks_at_its_own_shape_only_but_strictly_at_all() -> None:
    verdict = judge("two stars", ("star", "red"), ("star", "blue"), ("cross", "red"))
    assert (verdict.is_correct, verdict.is_strict) == (True, False)


def test_a_wrong_colour_is_half_right() -> None:
    verdict = judge("a red circle", ("circle", "blue"))
    assert (verdict.is_correct, verdict.dense) == (False, 0.5)


def test_swapped_colours_are_wrong() -> None:
    verdict = judge("a red circle and a blue star", ("circle", "blue"), ("star", "red"))
    assert (verdict.is_correct, verdict.dense) == (False, 0.5)
    assert judge("a red circle and a blue star", ("star", "blue"), ("circle", "red")).is_strict


@pytest.mark.parametrize(
    ("relation", "is_so"), [("left of", True), ("right of", False), ("above", False), ("below", False)]
)
def test_only_the_true_relation_of_a_row_is_right(relation: str, is_so: bool) -> None:
    verdict = judge(f"a circle {relation} a star", ("circle", "red"), ("star", "red"))
    assert verdict.is_correct == is_so
    assert verdict.dense == pytest.approx(1.0 if is_so else 2 / 3)


def test_relations_follow_geneval_by_hand() -> None:
    """Two boxes of 24 pixels: the margin is a tenth of 48, and a direction counts from half of the distance on."""
    box = (0, 0, 24, 24)
    assert relations_between(box, (0, 32, 24, 56)) == {"left of"}
    assert relations_between((32, 0, 56, 24), box) == {"below"}
    assert relations_between(box, (32, 32, 56, 56)) == {"left of", "above"}
    assert relations_between(box, (16, 32, 40, 56)) == {"left of"}
    assert relations_between(box, (4, 4, 28, 28)) == set()
    assert relations_between(box, box) == set()


def test_a_right_picture_is_strictly_so_and_every_condition_is_told() -> None:
    verdict = judge("a red circle", ("circle", "red"))
    assert verdict.is_strict
    assert verdict.found[0].shape == "circle"
    assert (verdict.conditions[1].text, verdict.conditions[1].is_satisfied) == ("the circle is red", True)


def test_a_picture_of_another_size_or_type_is_refused() -> None:
    for picture in (np.zeros((32, 32, 3), np.uint8), np.zeros((64, 64, 3), np.float32)):
        with pytest.raises(ValueError, match="must be uint8"):
            verify(picture, parse_caption("a circle"))  # type: ignore[arg-type]


def test_it_imports_nothing_that_draws() -> None:
    allowed = {
        "worker.shapes.grammar",
        "worker.shapes.world",
        "worker.shapes.segmentation",
        "worker.shapes.shape_classifier",
    }
    for module in (verifier, segmentation, shape_classifier):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name for name in imported if name and name.startswith("worker")} <= allowed
        assert not any(name and name.startswith("PIL") for name in imported)


def test_a_verdict_takes_about_half_a_millisecond(examples: list[tuple[Caption, NDArray[np.uint8]]]) -> None:
    """The bound of 2 ms of processor time leaves room for a busy machine."""
    verify(examples[0][1], examples[0][0])
    start = process_time()
    for caption, picture in examples[:300]:
        verify(picture, caption)
    assert (process_time() - start) / 300 < 0.002
