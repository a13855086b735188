"""GenEval's rules on drawn detections: all six tasks, and the edges of every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from worker.benchmarks.geneval.rules import Box, Detection, Thresholds, judge, kept, overlap, relations


def at(left: float, top: float, size: float = 10, confidence: float = 0.95) -> Detection:
    return Detection((left, top, left + size, top + size), confidence)


def is_correct(metadata: dict[str, Any], found: dict[str, list[Detection]], *colours: str) -> bool:
    def name(objects: Sequence[Detection], _: str) -> Sequence[str]:
        return colours[: len(objects)]

    own = kept(found, metadata["tag"], Thresholds())
    return all(clause.is_satisfied for clause in judge(metadata, own, name, 0.1))


SINGLE = {"tag": "single_object", "include": [{"class": "bench", "count": 1}]}
TWO = {"tag": "two_object", "include": [{"class": "cow", "count": 1}, {"class": "clock", "count": 1}]}
COUNTING = {
    "tag": "counting",
    "include": [{"class": "clock", "count": 3}],
    "exclude": [{"class": "clock", "count": 4}],
}
COLOURS = {"tag": "colors", "include": [{"class": "car", "count": 1, "color": "red"}]}
POSITION = {
    "tag": "position",
    "include": [{"class": "dog", "count": 1}, {"class": "tie", "count": 1, "position": ["right of", 0]}],
}
ATTRIBUTION = {
    "tag": "color_attr",
    "include": [{"class": "cup", "count": 1, "color": "red"}, {"class": "book", "count": 1, "color": "blue"}],
}


def test_a_single_object_must_be_there_and_others_are_forgiven() -> None:
    assert is_correct(SINGLE, {"bench": [at(0, 0)], "dog": [at(0, 0)]})
    assert not is_correct(SINGLE, {"dog": [at(0, 0)]})
    assert not is_correct(SINGLE, {})


def test_both_of_two_objects_must_be_there() -> None:
    assert is_correct(TWO, {"cow": [at(0, 0)], "clock": [at(50, 0)]})
    assert not is_correct(TWO, {"cow": [at(0, 0)]})
    assert not is_correct(TWO, {"clock": [at(0, 0)] * 2})


def test_a_count_is_exact_among_the_confident() -> None:
    clocks = [at(20 * place, 0) for place in range(4)]
    assert is_correct(COUNTING, {"clock": clocks[:3]})
    assert not is_correct(COUNTING, {"clock": clocks[:2]})
    assert not is_correct(COUNTING, {"clock": clocks})
    assert is_correct(COUNTING, {"clock": [*clocks[:3], at(90, 0, confidence=0.9)]}), "not above .9, so not counted"


def test_a_colour_is_that_of_the_most_confident_objects_alone() -> None:
    assert is_correct(COLOURS, {"car": [at(0, 0)]}, "red")
    assert not is_correct(COLOURS, {"car": [at(0, 0)]}, "orange")
    assert not is_correct(COLOURS, {"car": [at(0, 0, confidence=0.9), at(50, 0, confidence=0.5)]}, "blue", "red")


def test_a_position_is_told_by_the_most_confident_of_both() -> None:
    dog = [at(0, 0)]
    assert is_correct(POSITION, {"dog": dog, "tie": [at(50, 0)]})
    assert not is_correct(POSITION, {"dog": dog, "tie": [at(0, 50)]})
    assert not is_correct(POSITION, {"dog": [at(100, 0)], "tie": [at(50, 0)]})
    assert not is_correct(POSITION, {"tie": [at(50, 0)]}), "nothing to be right of"
    assert not is_correct(POSITION, {"dog": dog, "tie": [at(0, 0, confidence=0.9), at(50, 0, confidence=0.8)]})


def test_each_of_two_objects_must_have_its_own_colour() -> None:
    def judged(cup: str, book: str) -> bool:
        def name(objects: Sequence[Detection], class_name: str) -> Sequence[str]:
            return [cup if class_name == "cup" else book] * len(objects)

        found = kept({"cup": [at(0, 0)], "book": [at(30, 0)]}, "color_attr", Thresholds())
        return all(clause.is_satisfied for clause in judge(ATTRIBUTION, found, name, 0.1))

    assert judged("red", "blue")
    assert not judged("blue", "red")
    assert not judged("red", "red")


def test_what_fails_says_what_was_found_instead() -> None:
    clauses = judge(POSITION, {"tie": [at(0, 0)]}, lambda objects, _: [], 0.1)
    assert [clause.text for clause in clauses] == [
        "at least 1 dog: 0 found",
        "at least 1 tie right of number 1: what it is to be right of was not found",
    ]


@pytest.mark.parametrize(("tag", "least"), [("single_object", 0.3), ("position", 0.3), ("counting", 0.9)])
def test_a_detection_must_be_more_confident_than_the_threshold(tag: str, least: float) -> None:
    found = {"cow": [at(0, 0, confidence=least), at(0, 0, confidence=least + 0.01)]}
    assert [each.confidence for each in kept(found, tag, Thresholds())["cow"]] == [least + 0.01]


def test_the_most_confident_are_kept_in_order_and_no_more_than_the_bound() -> None:
    found = {"cow": [at(0, 0, confidence=0.5 + place / 100) for place in range(20)]}
    confidences = [each.confidence for each in kept(found, "colors", Thresholds())["cow"]]
    assert len(confidences) == 16
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == 0.69


def test_overlapping_boxes_are_all_kept_unless_overlap_is_bounded() -> None:
    found = {"cow": [at(0, 0, confidence=0.9), at(1, 0, confidence=0.8), at(50, 0, confidence=0.7)]}
    assert len(kept(found, "colors", Thresholds())["cow"]) == 3
    bounded = kept(found, "colors", Thresholds(max_overlap=0.5))["cow"]
    assert [each.confidence for each in bounded] == [0.9, 0.7]


def test_boxes_overlap_by_their_pixels_the_last_ones_included() -> None:
    box: Box = (0, 0, 9, 9)
    assert overlap(box, box) == 1
    assert overlap(box, (5, 0, 14, 9)) == pytest.approx(50 / 150)
    assert overlap(box, (20, 20, 29, 29)) == 0
    assert overlap((0, 0, -1, -1), (0, 0, -1, -1)) == 0


@pytest.mark.parametrize(
    ("left", "top", "wanted"),
    [
        (-50, 0, {"left of"}),
        (50, 0, {"right of"}),
        (0, -50, {"above"}),
        (0, 50, {"below"}),
        (50, 50, {"right of", "below"}),
        (0, 0, set()),
        (2, 0, set()),  # The offset is no more than a tenth of both sizes, 2 pixels.
        (3, 0, set()),  # One of three pixels is left: below half.
        (5, 0, {"right of"}),  # Three of five are left.
        (50, 20, {"right of"}),  # (48, 18) of 53.9: .89 and .33.
    ],
)
def test_where_one_box_stands_from_another(left: float, top: float, wanted: set[str]) -> None:
    assert relations(at(left, top).box, at(0, 0).box, 0.1) == wanted
