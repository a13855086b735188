"""Scores and intervals against cases worked out by hand."""

import numpy as np
import pytest

from worker.shapes.scoring import paired_difference, wilson_interval


def test_wilson_intervals_equal_published_values() -> None:
    half = wilson_interval(5, 10)
    assert (half.low, half.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    none = wilson_interval(0, 10)
    assert (none.low, none.high) == pytest.approx((0.0, 0.2775), abs=1e-4)
    every = wilson_interval(10, 10)
    assert (every.low, every.high) == pytest.approx((0.7225, 1.0), abs=1e-4)


@pytest.mark.parametrize(("num_successes", "num_trials"), [(0, 0), (3, 2), (-1, 4)])
def test_impossible_counts_are_refused(num_successes: int, num_trials: int) -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(num_successes, num_trials)


def test_a_constant_difference_has_an_interval_of_no_width() -> None:
    base = np.array([[0.0, 0.5], [0.25, 0.0]])
    assert paired_difference(base, base + 0.25, np.random.default_rng(0)) == pytest.approx((0.25, 0.25, 0.25))


def test_the_interval_of_two_prompts_spans_the_means_that_their_draws_can_have() -> None:
    base, tuned = np.zeros((2, 2)), np.array([[1.0, 1.0], [0.0, 0.0]])
    assert paired_difference(base, tuned, np.random.default_rng(0)) == pytest.approx((0.5, 0.0, 1.0))


def test_the_bootstrap_agrees_with_the_normal_interval_of_many_prompts() -> None:
    rng = np.random.default_rng(1)
    base = rng.random((400, 2))
    gains = rng.normal(0.1, 0.3, (400, 1))
    difference, low, high = paired_difference(base, base + gains, rng)
    assert difference == pytest.approx(gains.mean())
    half_width = 1.96 * gains.std() / 20
    assert (low, high) == pytest.approx((difference - half_width, difference + half_width), abs=0.004)


def test_seeds_of_one_prompt_do_not_count_as_independent_prompts() -> None:
    gains = np.random.default_rng(2).normal(0.0, 1.0, (30, 1))
    once = paired_difference(np.zeros((30, 1)), gains, np.random.default_rng(0))
    repeated = paired_difference(np.zeros((30, 8)), np.repeat(gains, 8, axis=1), np.random.default_rng(0))
    assert repeated == pytest.approx(once)


def test_unpaired_scores_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(3, 4\)"):
        paired_difference(np.zeros((3, 2)), np.zeros((3, 4)), np.random.default_rng(0))
