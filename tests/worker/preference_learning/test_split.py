"""The split by prompt and rater."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.worker.preference_learning.votes import write_pair_set
from worker.preference_learning.pairs import Pair, PairSet, Vote, read_pair_set
from worker.preference_learning.split import split_pairs


@pytest.fixture
def pair_set(tmp_path: Path) -> PairSet:
    sha256 = write_pair_set(tmp_path, num_prompts=20, pairs_per_prompt=3, num_raters=5, votes_per_pair=3)
    return read_pair_set(tmp_path / "pair-sets" / sha256)


def test_no_prompt_is_in_two_parts_and_every_pair_is_in_one(pair_set: PairSet) -> None:
    split = split_pairs(pair_set, 0.2, 0.15, 0.0, seed=3)
    learning, choosing = ([example.pair for example in part] for part in (split.learning, split.choosing))
    prompts = [{pair.prompt for pair in part} for part in (learning, choosing, split.heldout)]
    assert [len(part) for part in prompts] == [13, 3, 4]
    assert not prompts[0] & prompts[1]
    assert not (prompts[0] | prompts[1]) & prompts[2]
    assert {id(pair) for pair in [*learning, *choosing, *split.heldout]} == {id(pair) for pair in pair_set.pairs}


def test_one_prompt_in_two_spellings_or_pictures_in_common_are_in_one_part() -> None:
    spellings = ("A red circle.", "a red  circle", "A RED CIRCLE")
    pairs = [Pair(text, f"spelt-{number}.png", "x.png", 1.0, 1.0, ()) for number, text in enumerate(spellings)]
    # A chain: the first and the last share no picture, but each shares one with the second.
    chain = (("one", "a", "b"), ("two", "b", "c"), ("three", "c", "d"))
    pairs += [Pair(text, first, second, 0.0, 1.0, ()) for text, first, second in chain]
    pairs += [Pair(f"prompt {number}", f"{number}-0", f"{number}-1", 1.0, 1.0, ()) for number in range(8)]
    for seed in range(20):
        split = split_pairs(PairSet(Path(), "", tuple(pairs)), 0.3, 0.3, 0.0, seed=seed)
        parts = [
            {each.prompt for each in part}
            for part in (
                [example.pair for example in split.learning],
                [example.pair for example in split.choosing],
                split.heldout,
            )
        ]
        for together in (set(spellings), {"one", "two", "three"}):
            assert [part & together for part in parts if part & together] == [together]


def test_a_picture_that_most_prompts_have_leaves_something_to_learn() -> None:
    black = [Pair(f"black {number}", "black", f"b-{number}", 1.0, 1.0, ()) for number in range(50)]
    own = [Pair(f"prompt {number}", f"{number}-0", f"{number}-1", 1.0, 1.0, ()) for number in range(10)]
    for seed in range(10):
        split = split_pairs(PairSet(Path(), "", tuple(black + own)), 0.3, 0.3, 0.0, seed=seed)
        assert {example.pair.prompt for example in split.learning} > {pair.prompt for pair in black}


def test_nothing_is_learned_from_held_out_raters(pair_set: PairSet) -> None:
    split = split_pairs(pair_set, 0.2, 0.15, 0.4, seed=3)
    assert len(split.heldout_raters) == 2
    assert split.learning_raters == set(pair_set.raters) - split.heldout_raters
    for example in (*split.learning, *split.choosing):
        own = [vote.label_0 for vote in example.pair.votes if vote.rater not in split.heldout_raters]
        assert example.label_0 == pytest.approx(sum(own) / len(own))


def test_every_prompt_weighs_the_same_whatever_the_number_of_its_pairs(pair_set: PairSet) -> None:
    left_out = split_pairs(pair_set, 0.2, 0.15, 0.0, seed=3).learning[0].pair
    fewer = PairSet(pair_set.folder, pair_set.sha256, tuple(pair for pair in pair_set.pairs if pair is not left_out))
    split = split_pairs(fewer, 0.2, 0.15, 0.0, seed=3)
    by_prompt: dict[str, float] = {}
    for example in split.learning:
        by_prompt[example.pair.prompt] = by_prompt.get(example.pair.prompt, 0) + example.weight
    counts = Counter(example.pair.prompt for example in split.learning)
    assert set(counts.values()) == {2, 3}
    assert max(by_prompt.values()) == pytest.approx(min(by_prompt.values()))
    assert sum(example.weight for example in split.learning) == pytest.approx(len(split.learning))


def test_the_split_follows_from_the_seed(pair_set: PairSet) -> None:
    one, same, other = (split_pairs(pair_set, 0.2, 0.15, 0.2, seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one.heldout != other.heldout


def test_imported_pairs_without_single_votes_are_learned_from_whole() -> None:
    pairs = tuple(Pair(f"prompt {number}", f"{number}-0.png", f"{number}-1.png", 0.75, 1.0, ()) for number in range(10))
    split = split_pairs(PairSet(Path(), "", pairs), 0.2, 0.2, 0.5, seed=1)
    assert split.heldout_raters == frozenset()
    assert {example.label_0 for example in split.learning} == {0.75}


def test_too_few_prompts_or_votes_are_refused() -> None:
    two = tuple(Pair(f"prompt {number}", f"{number}-0.png", f"{number}-1.png", 1.0, 1.0, ()) for number in range(2))
    with pytest.raises(
        ValueError, match=r"has 2 prompts that differ in .* learning, choosing and judging need one each"
    ):
        split_pairs(PairSet(Path(), "", two), 0.2, 0.2, 0.0, seed=1)
    # Each prompt has one rater, and half of the raters are held out.
    own = tuple(
        Pair(f"prompt {number}", f"{number}-0.png", f"{number}-1.png", 1.0, 1.0, (Vote(f"rater {number}", 1.0),))
        for number in range(3)
    )
    with pytest.raises(ValueError, match=r"lower pairs\.heldout_rater_share"):
        split_pairs(PairSet(Path(), "", own), 0.2, 0.2, 0.5, seed=0)
