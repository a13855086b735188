"""Shares and their intervals, against values worked out elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from backend.preferences.figures.intervals import fair_coin_p_value, percentiles, wilson


@pytest.mark.parametrize(("successes", "total"), [(0, 5), (3, 10), (10, 10), (117, 240)])
def test_wilsons_interval_is_scipys(successes: int, total: int) -> None:
    expected = stats.binomtest(successes, total).proportion_ci(method="wilson")
    found = wilson(successes, total)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_half_points_lie_between_their_neighbours_and_no_trial_has_no_interval() -> None:
    lower, middle, upper = wilson(3, 10), wilson(3.5, 10), wilson(4, 10)
    assert lower is not None
    assert middle is not None
    assert upper is not None
    assert lower.low < middle.low < upper.low
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("heads", "tosses"), [(0, 1), (5, 10), (9, 10), (2, 17), (300, 520), (4200, 10_000)])
def test_the_coins_p_value_is_scipys_exact_one(heads: int, tosses: int) -> None:
    assert fair_coin_p_value(heads, tosses) == pytest.approx(stats.binomtest(heads, tosses, 0.5).pvalue, rel=1e-7)


def test_draws_that_say_nothing_do_not_count() -> None:
    values = np.concatenate([np.linspace(0, 1, 101), np.full(50, np.nan)])
    found = percentiles(values)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert percentiles(np.full(100, np.nan)) is None
