"""What a reward model is told to be worth: hand-computed cases and bounds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from backend.figures.intervals import exact_interval
from worker.preference_learning.judging import agreements, calibration, ceiling, paired_gain, share
from worker.preference_learning.likelihood import fit_temperature, pair_losses
from worker.preference_learning.pairs import Pair, Vote


def pair(prompt: str, *labels: float) -> Pair:
    votes = tuple(Vote(f"rater {number}", label) for number, label in enumerate(labels))
    return Pair(prompt, "0.png", "1.png", sum(labels) / len(labels), 1.0, votes)


def test_agreement_leaves_ties_out_and_halves_equal_scores() -> None:
    found = agreements(np.array([2.0, -1.0, 0.0, 3.0, 1.0]), [0.7, 0.7, 1.0, 0.5, None])
    np.testing.assert_array_equal(found, [1.0, 0.0, 0.5, np.nan, np.nan])


def test_an_interval_is_never_narrower_than_an_exact_one_nor_than_the_prompts_allow() -> None:
    all_right = share(np.ones(8), list("abcdefgh"))
    assert all_right is not None
    assert all_right.value == 1
    assert all_right.low == pytest.approx(exact_interval(8, 8).low)
    # Pairs that all agree may be one and the same finding: prompts alone count.
    of_one_prompt = share(np.ones(8), ["a"] * 8)
    assert of_one_prompt is not None
    assert (of_one_prompt.low, of_one_prompt.high) == (0, 1)
    # Two prompts of 50 pairs, one all right and one all wrong: there are 100 pairs, but two prompts.
    clustered = share(np.array([1.0] * 50 + [0.0] * 50), ["a"] * 50 + ["b"] * 50)
    assert clustered is not None
    assert (clustered.low, clustered.high) == (0.0, 1.0)
    assert share(np.array([np.nan]), ["a"]) is None


@pytest.mark.parametrize("num_prompts", [1, 2, 3, 5])
def test_few_prompts_prove_nothing_however_right(num_prompts: int) -> None:
    right = share(np.ones(28 * num_prompts), [place for place in range(num_prompts) for _ in range(28)])
    assert right is not None
    assert right.low < 0.5


@pytest.mark.parametrize(("num_prompts", "group_size"), [(6, 8), (6, 2), (10, 8), (30, 8)])
def test_scores_that_know_nothing_are_rarely_better_than_chance(num_prompts: int, group_size: int) -> None:
    rng = np.random.default_rng(num_prompts + group_size)
    num_accepted = sum(is_accepted(rng, num_prompts, group_size, 0.0) for _ in range(200))
    # Nominal are 2.5 %; of 200 trials at that rate 12 or more are accepted once in 200 times.
    assert num_accepted < 12


def test_a_good_model_is_accepted_with_fifty_pairs_of_sixteen_prompts() -> None:
    rng = np.random.default_rng(5)
    # At this sharpness 81 of 100 pairs are right.
    assert sum(is_accepted(rng, 16, 3, 1.5) for _ in range(50)) >= 45


def is_accepted(rng: np.random.Generator, num_prompts: int, group_size: int, sharpness: float) -> bool:
    """Whether scores pass that share so much with people's taste, on all pairs of a prompt's pictures."""
    differences, preferences, prompts = [], [], []
    for prompt in range(num_prompts):
        scores = rng.normal(size=group_size)
        taste = sharpness * scores + rng.normal(size=group_size)
        for one, other in itertools.combinations(range(group_size), 2):
            differences.append(scores[one] - scores[other])
            preferences.append(float(taste[one] > taste[other]))
            prompts.append(prompt)
    found = share(agreements(np.array(differences), preferences), prompts)
    assert found is not None
    return found.low > 0.5


def test_the_gain_is_paired() -> None:
    prompts = [str(number) for number in range(40)]
    untuned = np.array([0.0, 1.0] * 20)
    gain = paired_gain(np.ones(40), untuned, prompts)
    assert gain is not None
    assert gain.value == 0.5
    assert 0.3 < gain.low < 0.5 < gain.high < 0.7
    same = paired_gain(untuned, untuned, prompts)
    assert same is not None
    assert (same.low, same.high) == (0, 0)


def test_the_ceiling_compares_each_vote_with_the_majority_of_the_others() -> None:
    # a: votes 1, 1, 0 for the first. Without the first vote the others tie; likewise the second; the third disagrees.
    # b: all agree. c: one vote, nobody to compare with.
    pairs = [pair("a", 1, 1, 0), pair("b", 0, 0, 0), pair("c", 1)]
    people, model = ceiling(pairs, np.array([1.0, 1.0, 1.0]), list("abc"))
    assert people is not None
    assert model is not None
    assert (people.value, people.num_pairs) == (0.75, 4)
    assert model.value == 0.25
    assert ceiling([pair("c", 1)], np.array([1.0]), ["c"]) == (None, None)


def test_a_calibrated_model_has_no_calibration_error_and_a_boastful_one_has() -> None:
    # Ten pairs at odds of three to one, of which people take the preferred picture with three quarters.
    differences = np.full(10, math.log(3))
    honest = calibration(differences, [0.75] * 10, 1.0)
    assert honest.expected_error == pytest.approx(0, abs=1e-9)
    assert honest.log_loss == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    (filled,) = [each for each in honest.bins if each.num_pairs]
    assert (filled.low, filled.high, filled.num_pairs) == (0.75, 0.8, 10)
    assert calibration(10 * differences, [0.75] * 10, 1.0).expected_error == pytest.approx(0.25, abs=1e-4)
    # A preference for the second picture counts as much: the model is asked about the one that it prefers.
    assert calibration(-differences, [0.25] * 10, 1.0).expected_error == pytest.approx(0, abs=1e-9)


def test_the_temperature_makes_scores_the_log_odds_of_the_votes() -> None:
    differences = np.full(10, 4 * math.log(3))
    temperature, loss = fit_temperature(differences, np.full(10, 0.75), np.ones(10))
    assert temperature == pytest.approx(4, rel=0.01)
    assert loss == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-4)
    # Without any relation the best is to be sure of nothing.
    unrelated, loss = fit_temperature(np.array([3.0, 3.0]), np.array([1.0, 0.0]), np.ones(2))
    assert unrelated > 100
    assert loss == pytest.approx(math.log(2), abs=1e-3)


def test_the_loss_is_the_cross_entropy_with_soft_labels() -> None:
    assert pair_losses(np.array([0.0]), np.array([0.3]))[0] == pytest.approx(math.log(2))
    assert pair_losses(np.array([2.0]), np.array([1.0]))[0] == pytest.approx(math.log(1 + math.exp(-2)))
    # A tie is likeliest where the scores are equal.
    assert pair_losses(np.array([0.1]), np.array([0.5]))[0] > math.log(2)
