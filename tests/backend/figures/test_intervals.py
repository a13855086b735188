"""Scores and intervals against cases worked out by hand."""

import numpy as np
import pytest

from backend.figures import intervals
from backend.figures.intervals import exact_interval, mean_of_shares, mean_of_tasks, share_of_prompts, wilson_interval


def test_wilson_intervals_equal_published_values() -> None:
    half = wilson_interval(5, 10)
    assert (half.low, half.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    none = wilson_interval(0, 10)
    assert (none.low, none.high) == pytest.approx((0.0, 0.2775), abs=1e-4)
    every = wilson_interval(10, 10)
    assert (every.low, every.high) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_exact_intervals_equal_published_values() -> None:
    half = exact_interval(5, 10)
    assert (half.low, half.high) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    every = exact_interval(10, 10)
    assert (every.low, every.high) == pytest.approx((0.025**0.1, 1.0))
    none = exact_interval(0, 10)
    assert (none.low, none.high) == pytest.approx((0.0, 1 - 0.025**0.1))


@pytest.mark.parametrize(("num_successes", "num_trials"), [(0, 0), (3, 2), (-1, 4)])
def test_impossible_counts_are_refused(num_successes: int, num_trials: int) -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(num_successes, num_trials)
    with pytest.raises(ValueError, match="at least one trial"):
        exact_interval(num_successes, num_trials)


def test_seeds_that_agree_count_as_one_picture_and_those_that_do_not_as_many() -> None:
    agreeing = np.repeat(np.array([[1.0], [0.0]] * 50), 4, axis=1)
    assert share_of_prompts(agreeing) == wilson_interval(50, 100)
    opposed = np.tile([[1.0, 0.0, 1.0, 0.0]], (100, 1))
    assert share_of_prompts(opposed) == wilson_interval(200, 400)
    assert share_of_prompts(np.ones((100, 4))) == wilson_interval(100, 100), "unknown: only prompts count"


def test_the_interval_of_a_share_holds_it_in_19_of_20_evaluations() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(500):
        chances = rng.beta(0.6, 0.6, size=(100, 1))
        found = share_of_prompts((rng.random((100, 4)) < chances).astype(float))
        held += found.low <= 0.5 <= found.high
    assert 0.925 <= held / 500 <= 0.975


def test_the_mean_of_shares_stays_within_what_shares_can_be() -> None:
    every = [wilson_interval(2, 2), wilson_interval(8, 8)]
    found = mean_of_shares([1.0, 1.0], every)
    assert found.high == 1
    assert found.low == pytest.approx(1 - np.hypot(1 - every[0].low, 1 - every[1].low) / 2)


def test_a_constant_difference_has_an_interval_of_no_width() -> None:
    found = mean_of_tasks(np.full(6, 0.25), [range(2), range(2, 6)], np.random.default_rng(0))
    assert found is not None
    assert (found.low, found.high) == (0.25, 0.25)


def test_a_task_of_one_prompt_gives_no_interval() -> None:
    assert mean_of_tasks(np.array([0.1, 0.2, 0.3]), [[0, 1], [2]], np.random.default_rng(0)) is None


def test_two_prompts_are_as_unsure_as_student_says() -> None:
    found = mean_of_tasks(np.array([1.0, 0.0]), [[0, 1]], np.random.default_rng(0))
    assert found is not None
    assert found.high - found.low == pytest.approx(12.706 / 1.96 * 2**0.5, rel=0.01)


def test_the_bootstrap_agrees_with_the_normal_interval_of_many_prompts() -> None:
    gains = np.random.default_rng(1).normal(0.1, 0.3, 400)
    found = mean_of_tasks(gains, [range(400)], np.random.default_rng(0))
    assert found is not None
    half_width = 1.96 * gains.std() / 20
    assert (found.low, found.high) == pytest.approx((gains.mean() - half_width, gains.mean() + half_width), abs=0.004)


def test_how_many_prompts_a_task_has_is_no_chance() -> None:
    # All prompts of a task gain the same: whichever are drawn, the mean over tasks is this one.
    found = mean_of_tasks(np.array([0.0] * 2 + [1.0] * 8), [range(2), range(2, 10)], np.random.default_rng(0))
    assert found is not None
    assert (found.low, found.high) == (0.5, 0.5)


def test_the_interval_of_a_mean_over_tasks_holds_it_in_19_of_20_evaluations() -> None:
    rng = np.random.default_rng(5)
    sizes, held = (4, 9, 5, 6), 0
    ends = np.cumsum(sizes).tolist()
    tasks = [range(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    for _ in range(300):
        found = mean_of_tasks(rng.normal(0.2, 1.0, sum(sizes)), tasks, rng, num_resamples=400)
        assert found is not None
        held += found.low <= 0.2 <= found.high
    assert 0.92 <= held / 300 <= 0.98


def test_the_interval_is_the_same_however_many_draws_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gains, tasks = np.random.default_rng(2).normal(size=33), [range(11), range(11, 33)]
    whole = mean_of_tasks(gains, tasks, np.random.default_rng(0))
    monkeypatch.setattr(intervals, "_AT_ONCE", 70)
    assert mean_of_tasks(gains, tasks, np.random.default_rng(0)) == whole
