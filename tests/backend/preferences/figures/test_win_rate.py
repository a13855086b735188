"""Win rates by hand, and what drawing raters and prompts anew knows that Wilson's interval does not."""

from __future__ import annotations

import numpy as np
import pytest

from backend.preferences.figures.resampling import resampled_counts
from backend.preferences.figures.votes import Outcome, Votes
from backend.preferences.figures.win_rate import WinRate, duels, win_rates
from tests.backend.preferences.figures.drawn_votes import votes_of

FIRST, SECOND, TIE, BOTH_BAD = Outcome


def rate_of(votes: Votes) -> WinRate:
    return win_rates(duels(votes))[0]


def test_a_tie_and_both_bad_count_a_half_and_sides_do_not_matter() -> None:
    # Policy 1 against policy 0: second place wins, and first place where the pair is turned.
    found = rate_of(
        votes_of(
            [SECOND, SECOND, FIRST, FIRST, TIE, BOTH_BAD],
            policy_0=[0, 0, 0, 1, 0, 1],
            policy_1=[1, 1, 1, 0, 1, 0],
        )
    )
    assert (found.policy, found.opponent) == (1, 0)
    assert (found.num_wins, found.num_losses, found.num_ties, found.num_both_bad) == (3, 1, 1, 1)
    assert found.value == pytest.approx(4 / 6)


def test_policies_that_never_met_have_no_rate_and_one_policy_alone_has_none() -> None:
    votes = votes_of([FIRST] * 4, policy_0=[0, 0, 2, 2], policy_1=[1, 1, 3, 2])
    assert [(rate.policy, rate.opponent) for rate in win_rates(duels(votes))] == [(1, 0), (3, 2)]
    assert win_rates(duels(votes_of([]))) == []


def test_votes_of_few_raters_of_one_mind_are_less_sure_than_their_number() -> None:
    generator = np.random.default_rng(0)
    outcomes = [FIRST] * 200 + [SECOND] * 200
    many = votes_of(outcomes, rater=generator.permutation(400).tolist())
    few = votes_of(outcomes, rater=[0] * 100 + [1] * 100 + [2] * 100 + [3] * 100)
    of_many, of_few = rate_of(many), rate_of(few)
    width = of_few.wilson.high - of_few.wilson.low
    # The two-way draw adds up to about three variances of single votes, hence sqrt(3) at most for independent ones.
    assert width < of_many.resampled.high - of_many.resampled.low < 2 * width
    assert of_few.resampled.high - of_few.resampled.low > 5 * width


def test_few_votes_are_nowhere_surer_than_wilson_says() -> None:
    found = rate_of(votes_of([FIRST] * 6, policy_0=[1] * 6, policy_1=[0] * 6))
    assert (found.value, found.resampled.high) == (1.0, 1.0)
    assert found.resampled.low == found.wilson.low < 0.7


def test_resampled_counts_are_those_of_the_draws_weights() -> None:
    generator = np.random.default_rng(5)
    cell, rater, prompt = (generator.integers(size, size=300) for size in (7, 9, 40))
    found = resampled_counts(cell, rater, prompt, 8, num_resamples=50, seed=1)
    again = np.random.default_rng(1)
    raters = again.multinomial(9, np.full(9, 1 / 9), size=50)
    prompts = again.multinomial(40, np.full(40, 1 / 40), size=50)
    weights = raters[:, rater] * prompts[:, prompt]
    expected = np.stack([np.bincount(cell, weights=row, minlength=8) for row in weights])
    np.testing.assert_array_equal(found, expected)
    assert found[:, 7].sum() == 0
