"""The held-out figures against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from worker.jobs.heldout import Outcomes, difference, heldout_seeds, score
from worker.jobs.prompts import heldout_captions

CAPTIONS = heldout_captions(14, "num_prompts")  # Two tasks have three captions, four have two.


def outcomes(correct: list[int], strict: list[int]) -> Outcomes:
    return Outcomes(np.array(correct, dtype=float)[:, None], np.array(strict, dtype=float)[:, None])


BASE = outcomes([1, 0] + [0] * 12, [0] * 14)
TUNED = outcomes([1, 1] + [0] * 11 + [1], [1, 1] + [0] * 12)


def test_overall_is_the_mean_of_the_six_tasks_not_of_the_captions() -> None:
    figures = score(5, "policy", CAPTIONS, TUNED)
    # Task 1 has captions 0, 6, 12: one of three; task 2 has 1, 7, 13: two of three.
    assert figures.values["single_object"] == pytest.approx(1 / 3)
    assert figures.values["two_object"] == pytest.approx(2 / 3)
    assert figures.values["overall"] == pytest.approx((1 / 3 + 2 / 3) / 6)
    assert figures.values["strict"] == pytest.approx((1 / 3 + 1 / 3) / 6)
    assert (figures.step, figures.num_prompts, figures.samples_per_prompt) == (5, 14, 1)


def test_every_figure_lies_within_its_interval() -> None:
    for figures in (score(5, "policy", CAPTIONS, TUNED), difference(5, CAPTIONS, BASE, TUNED)):
        for key, (low, high) in figures.intervals.items():
            value = figures.values[key]
            assert value is not None
            assert low <= value + 1e-12
            assert value <= high + 1e-12
        assert figures.intervals["overall"][0] < figures.intervals["overall"][1]


def test_the_difference_is_tuned_minus_base_in_every_figure() -> None:
    base, tuned = score(5, "base", CAPTIONS, BASE), score(5, "policy", CAPTIONS, TUNED)
    pair = difference(5, CAPTIONS, BASE, TUNED)
    for key, value in base.values.items():
        assert pair.values[key] == pytest.approx(tuned.values[key] - value)
    assert (pair.values["num_wins"], pair.values["num_losses"], pair.values["num_ties"]) == (2, 0, 12)
    assert pair.values["win_rate"] == 1.0


def test_equal_policies_have_no_win_rate_and_an_interval_of_nothing() -> None:
    pair = difference(5, CAPTIONS, BASE, BASE)
    assert "win_rate" not in pair.values
    assert pair.intervals["overall"] == (0, 0)


def test_outcomes_survive_a_checkpoint_with_their_gaps() -> None:
    half = Outcomes.none_yet(2, 2)
    half.correct[0] = [1, 0]
    half.strict[0] = [0, 0]
    back = Outcomes.from_state(half.to_state())
    np.testing.assert_array_equal(back.correct, half.correct)
    np.testing.assert_array_equal(back.strict, half.strict)


def test_seeds_are_the_same_for_every_policy_and_never_twice_the_same() -> None:
    seeds = heldout_seeds(7, 50, 3)
    assert seeds == heldout_seeds(7, 50, 3)
    assert seeds[:20] == heldout_seeds(7, 20, 3)
    assert len({seed for own in seeds for seed in own}) == 150
