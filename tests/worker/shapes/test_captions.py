"""Captions: the grammar reads what it writes, the splits never meet, and scenes hold exactly what is asked."""

from collections import Counter

import numpy as np
import pytest

from worker.shapes.captions import TASKS, Caption, all_captions, parse_caption, sample_caption, scene_for, vocabulary
from worker.shapes.grammar import RELATIONS, contents
from worker.shapes.world import COLOURS, SHAPES

HELDOUT, TRAINING = all_captions("heldout"), all_captions("train")


def meaning(caption: Caption) -> tuple[object, ...]:
    """What a caption asks for, whatever its order: worked out anew, as a set or a directed arrangement."""
    nouns = [(wanted.shape, wanted.count, wanted.colour) for wanted in caption.wanted]
    if caption.relation is None:
        return (caption.task, frozenset(nouns))
    if caption.relation in ("right of", "below"):
        nouns.reverse()
    return (caption.task, *nouns, caption.relation in ("left of", "right of"))


def test_at_least_500_distinct_held_out_captions_share_no_text_with_a_larger_training_set() -> None:
    heldout, training = {caption.text for caption in HELDOUT}, {caption.text for caption in TRAINING}
    assert len(heldout) == len(HELDOUT) == 540
    assert len(training) == len(TRAINING) > 20_000
    assert not heldout & training


def test_both_splits_cover_every_task_and_the_held_out_one_evenly_from_its_start() -> None:
    assert {caption.task for caption in TRAINING} == set(TASKS)
    assert Counter(caption.task for caption in HELDOUT) == dict.fromkeys(TASKS, 90)
    assert Counter(caption.task for caption in HELDOUT[:60]) == dict.fromkeys(TASKS, 10)


def test_no_held_out_meaning_of_the_rich_tasks_occurs_in_training() -> None:
    rich = ("two_object", "position", "color_attr")
    heldout = {meaning(caption) for caption in HELDOUT if caption.task in rich}
    training = {meaning(caption) for caption in TRAINING if caption.task in rich}
    assert len(heldout) > 50
    assert not heldout & training


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("captions", [HELDOUT, TRAINING])
def test_every_shape_colour_and_relation_occurs_in_both_splits(captions: tuple[Caption, ...], task: str) -> None:
    mine = [caption for caption in captions if caption.task == task]
    wanted = [wanted for caption in mine for wanted in caption.wanted]
    assert {each.shape for each in wanted} == set(SHAPES)
    if task in ("colors", "color_attr"):
        assert {each.colour for each in wanted} == set(COLOURS)
    if task == "position":
        assert {caption.relation for caption in mine} == set(RELATIONS)
    if task == "counting":
        assert {each.count for each in wanted} == {2, 3, 4}


def test_every_caption_is_short_lower_case_words_of_the_vocabulary_and_read_back_as_written() -> None:
    words = set(vocabulary())
    assert len(words) < 50
    for caption in (*HELDOUT, *TRAINING[::40]):
        assert set(caption.text.split(" ")) <= words
        assert len(caption.text.split(" ")) <= 14
        assert parse_caption(caption.text) == caption


def test_the_splits_are_the_same_for_ever() -> None:
    assert [caption.text for caption in HELDOUT[:6]] == [
        "a simple photo of a circle",
        "a photo of a star and a triangle",
        "a simple photo showing three crosses",
        "a clear drawing of a white star",
        "a photo of a cross right of a triangle",
        "a photo of a purple square and a yellow cross",
    ]


def test_a_person_may_write_without_opening_in_capitals_and_with_a_full_stop() -> None:
    caption = parse_caption("  A red  circle and a blue star. ")
    assert caption.text == "a red circle and a blue star"
    assert caption.task == "color_attr"
    assert [(wanted.shape, wanted.colour) for wanted in caption.wanted] == [("circle", "red"), ("star", "blue")]


@pytest.mark.parametrize(
    "text",
    [
        "a photo of a dog",
        "",
        "a photo of five stars",
        "a photo of a circle and a circle",
        "a photo of a red star left of a cross",
    ],
)
def test_what_the_world_does_not_know_is_refused_by_name_with_what_it_knows(text: str) -> None:
    with pytest.raises(ValueError, match="It understands") as refusal:
        parse_caption(text)
    assert repr(text) in str(refusal.value)
    assert all(word in str(refusal.value) for word in (*SHAPES, *COLOURS, *RELATIONS))


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_samples_are_balanced_over_tasks_and_stay_in_their_split(split: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_caption(rng, split) for _ in range(1200)]  # type: ignore[arg-type]
    counts = Counter(caption.task for caption in drawn)
    assert min(counts[task] for task in TASKS) > 150
    assert {caption.text for caption in drawn} <= {caption.text for caption in all_captions(split)}  # type: ignore[arg-type]


def test_a_scene_holds_exactly_what_its_caption_asks_for() -> None:
    rng = np.random.default_rng(0)
    for caption in HELDOUT:
        objects = scene_for(caption, rng).objects
        asked = Counter({wanted.shape: wanted.count for wanted in caption.wanted})
        assert Counter(placed.shape for placed in objects) == asked
        for wanted in caption.wanted:
            seen = {placed.colour for placed in objects if placed.shape == wanted.shape}
            assert wanted.colour is None or seen == {wanted.colour}


def test_a_scene_of_a_relation_shows_it_along_the_larger_offset() -> None:
    rng = np.random.default_rng(0)
    for caption in (each for each in HELDOUT if each.task == "position"):
        one, other = scene_for(caption, rng).objects
        right, down = one.column - other.column, one.row - other.row
        clear = {"left of": -right, "right of": right, "above": -down, "below": down}
        assert max(clear, key=lambda relation: clear[relation]) == caption.relation


def test_every_task_can_ask_for_each_content_once() -> None:
    sizes = {task: len(set(contents(task))) for task in TASKS}
    assert list(sizes.values()) == [5, 20, 15, 30, 80, 600]
