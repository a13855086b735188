"""What is told of each rater, by hand."""

from __future__ import annotations

import pytest

from backend.preferences.figures.raters import rater_figures
from backend.preferences.figures.votes import Outcome, first_shares, numbered
from tests.backend.preferences.figures.drawn_votes import votes_of

FIRST, SECOND, TIE, BOTH_BAD = Outcome


def test_gold_answers_are_counted_and_both_bad_answers_a_gold_tie() -> None:
    votes = votes_of(
        [FIRST, SECOND, BOTH_BAD, FIRST, SECOND],
        known=[FIRST, FIRST, TIE, -1, -1],
        rater=[0, 0, 0, 0, 1],
    )
    first, second = rater_figures(votes, 2)
    assert (first.num_votes, first.num_gold, first.num_gold_right) == (4, 3, 2)
    assert first.gold_interval is not None
    assert first.gold_interval.low < 2 / 3 < first.gold_interval.high
    assert (second.num_gold, second.gold_interval) == (0, None)


def test_a_left_handed_rater_is_found_and_a_fair_one_is_not() -> None:
    # Rater 0 always takes the left picture; rater 1 always the first, which stands left every other time.
    left = [True, False] * 10
    one_sided = [FIRST if is_left else SECOND for is_left in left]
    votes = votes_of([*one_sided, *[FIRST] * 20, TIE], is_first_left=[*left, *left, True], rater=[0] * 20 + [1] * 21)
    biased, fair = rater_figures(votes, 2)
    assert (biased.num_left, biased.num_sided) == (20, 20)
    assert biased.side_p_value == pytest.approx(2 / 2**20)
    assert biased.left_interval is not None
    assert biased.left_interval.low > 0.5
    assert (fair.num_left, fair.num_sided, fair.side_p_value) == (10, 20, pytest.approx(1.0))


def test_pace_is_the_median_and_what_is_below_the_floor() -> None:
    found = rater_figures(votes_of([FIRST] * 4, milliseconds=[100, 699, 700, 9000]), 2, floor=700)
    assert (found[0].median_milliseconds, found[0].num_hasty) == (699.5, 2)
    assert (found[1].num_votes, found[1].median_milliseconds, found[1].agreement) == (0, None, None)


def test_agreement_is_with_the_others_of_the_same_pair() -> None:
    # Pair 0: raters 0 and 1 say first, 2 says second. Pair 1: 0 and 1 differ. Pair 2: rater 2 alone.
    votes = votes_of([FIRST, FIRST, SECOND, FIRST, SECOND, TIE], pair=[0, 0, 0, 1, 1, 2], rater=[0, 1, 2, 0, 1, 2])
    found = rater_figures(votes, 3)
    assert [each.agreement for each in found] == [pytest.approx(0.25), pytest.approx(0.25), 0]
    assert [each.num_shared for each in found] == [2, 2, 1]


def test_outcomes_as_shares_and_things_as_numbers() -> None:
    assert first_shares(votes_of([FIRST, SECOND, TIE, BOTH_BAD]).outcome).tolist() == [1, 0, 0.5, 0.5]
    numbers, things = numbered(["b", "a", "b"])
    assert (numbers.tolist(), things) == ([0, 1, 0], ["b", "a"])


def test_votes_without_some_raters_and_without_gold() -> None:
    votes = votes_of([FIRST, SECOND, TIE], rater=[0, 1, 2], known=[-1, FIRST, -1])
    assert votes.without_raters([0]).outcome.tolist() == [SECOND, TIE]
    assert votes.without_gold().outcome.tolist() == [FIRST, TIE]
    assert len(votes.without_raters([])) == 3
