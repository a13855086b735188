"""Krippendorff's alpha is the reference implementation's, also where votes are missing."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest

from backend.preferences.figures.agreement import krippendorff_alpha


def alpha_of(table: np.ndarray, **options: int):  # type: ignore[no-untyped-def]
    """Alpha of a (raters, units) table; NaN is missing. Each unit is a cluster of its own."""
    rater, unit = np.nonzero(~np.isnan(table))
    return krippendorff_alpha(unit, table[rater, unit].astype(np.int64), unit, **options)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("num_categories", [2, 3, 4])
def test_alpha_is_that_of_the_reference(seed: int, num_categories: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(num_categories, size=40)
    table = np.where(generator.random((5, 40)) < 0.6, truth, generator.integers(num_categories, size=(5, 40))).astype(
        float
    )
    table[generator.random((5, 40)) < 0.4] = np.nan
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement="nominal")
    found = alpha_of(table)
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.interval.low <= found.value <= found.interval.high


def test_alpha_of_krippendorffs_own_example() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: nominal alpha is 0.743.
    gap = np.nan
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
            [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
        ]
    )
    assert alpha_of(table).value == pytest.approx(0.743, abs=5e-4)


def test_units_of_one_vote_do_not_count() -> None:
    both = np.array([[0, 1, 0, 1], [0, 1, 1, 1]], dtype=float)
    found = alpha_of(np.concatenate([both, [[np.nan] * 4]]))
    more = np.concatenate([both, np.array([[0.0, np.nan], [np.nan, 1.0]])], axis=1)
    assert alpha_of(more).value == found.value
    assert (alpha_of(more).num_pairs, alpha_of(more).num_votes) == (4, 8)


def test_there_is_no_alpha_without_shared_units_or_without_a_second_category() -> None:
    assert krippendorff_alpha(*(np.zeros(0, dtype=np.int64),) * 3).value is None
    assert alpha_of(np.array([[0.0, np.nan], [np.nan, 1.0]])).value is None
    assert alpha_of(np.ones((3, 4))).value is None


def test_the_interval_draws_whole_clusters() -> None:
    generator = np.random.default_rng(0)
    table = generator.integers(2, size=(2, 60)).astype(float)
    table[1, :30] = table[0, :30]
    rater, unit = np.nonzero(~np.isnan(table))
    category = table[rater, unit].astype(np.int64)
    # Six clusters, three of full agreement and three of chance: draws of them differ more than draws of units do.
    whole = krippendorff_alpha(unit, category, unit // 10)
    single = krippendorff_alpha(unit, category, unit)
    assert whole.value == single.value
    assert krippendorff_alpha(unit, category, unit // 15).interval is None
    assert whole.interval is not None
    assert single.interval is not None
    assert whole.interval.high - whole.interval.low > 1.2 * (single.interval.high - single.interval.low)
