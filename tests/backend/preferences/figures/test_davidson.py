"""Bradley-Terry with and without ties: against choix, a gradient worked out by hand, and the truth."""

from __future__ import annotations

import choix
import numpy as np
import pytest

from backend.preferences.figures.davidson import bradley_terry, fit
from backend.preferences.figures.votes import Outcome, Votes
from backend.preferences.figures.win_rate import duels
from tests.backend.preferences.figures.drawn_votes import draw_votes, votes_of


def fitted(counts: list[list[int]], pairs: list[list[int]], penalty: float = 0.0) -> np.ndarray:
    array = np.array(counts, dtype=float)[None]
    has_ties = bool(array[..., 2].any())
    return fit(array, np.array(pairs), int(np.max(pairs)) + 1, has_ties=has_ties, penalty=penalty)[0]


@pytest.mark.parametrize("num_policies", [2, 3, 6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_ties_the_strengths_are_those_of_choix(num_policies: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=num_policies)
    pairs = [[i, j] for i in range(num_policies) for j in range(i + 1, num_policies)]
    wins = [int(generator.binomial(60, 1 / (1 + np.exp(truth[j] - truth[i])))) for i, j in pairs]
    counts = [[each, 60 - each, 0] for each in wins]
    games = [
        pair for (i, j), each in zip(pairs, wins, strict=True) for pair in [(i, j)] * each + [(j, i)] * (60 - each)
    ]
    expected = choix.ilsr_pairwise(num_policies, games, alpha=0)
    assert fitted(counts, pairs)[:-1] == pytest.approx(expected - expected.mean(), abs=1e-4)
    expected = choix.mm_pairwise(num_policies, games)
    assert fitted(counts, pairs)[:-1] == pytest.approx(expected - expected.mean(), abs=1e-4)


def test_two_policies_have_the_answer_worked_out_by_hand() -> None:
    # 6 wins, 2 losses, 4 ties: s_0 / s_1 = 6 / 2, and nu = 4 / sqrt(6 * 2).
    values = fitted([[6, 2, 4]], [[0, 1]])
    assert values[0] - values[1] == pytest.approx(np.log(3), abs=1e-8)
    assert np.exp(values[2]) == pytest.approx(4 / np.sqrt(12), abs=1e-8)


def test_the_likelihoods_gradient_is_zero_at_the_fitted_strengths() -> None:
    pairs = [[0, 1], [0, 2], [1, 2], [2, 3]]
    counts = np.array([[7, 3, 5], [4, 9, 2], [6, 6, 1], [3, 8, 4]])
    values = fitted(counts.tolist(), pairs)
    strength, nu = np.exp(values[:-1]), np.exp(values[-1])
    slope, slope_of_nu = np.zeros(4), 0.0
    for (i, j), (wins, losses, ties) in zip(pairs, counts, strict=True):
        root = nu * np.sqrt(strength[i] * strength[j])
        whole, total = strength[i] + strength[j] + root, wins + losses + ties
        # d/d theta_i of log-likelihood: wins + ties / 2, less what is expected of them.
        slope[i] += wins + ties / 2 - total * (strength[i] + root / 2) / whole
        slope[j] += losses + ties / 2 - total * (strength[j] + root / 2) / whole
        slope_of_nu += ties - total * root / whole
    assert slope == pytest.approx(np.zeros(4), abs=1e-6)
    assert slope_of_nu == pytest.approx(0, abs=1e-6)


def test_the_truth_lies_in_the_intervals_of_nearly_all_simulated_tasks() -> None:
    truth, nu = np.array([0.6, 0.0, -0.6]), 0.7
    num_covered = 0
    for seed in range(20):
        found = bradley_terry(duels(draw_votes(truth, nu, num_votes=1500, seed=seed), num_resamples=300))
        assert found is not None
        for each in found.strengths:
            num_covered += each.interval.low <= truth[each.policy] <= each.interval.high
        assert found.ties_interval is not None
        num_covered += found.ties_interval.low <= nu <= found.ties_interval.high
    # 95 % are promised; of 80, fewer than 68 would come about once in ten thousand such tests.
    assert num_covered >= 68


def test_strengths_that_the_votes_send_to_infinity_stay_finite_and_are_told_as_such() -> None:
    votes = votes_of([Outcome.FIRST] * 30)
    found = bradley_terry(duels(votes))
    assert found is not None
    assert found.is_separable
    assert found.strengths[0].policy == 0
    assert 3 < found.strengths[0].value - found.strengths[1].value < 20
    mixed = bradley_terry(duels(votes_of([Outcome.FIRST] * 30 + [Outcome.SECOND])))
    assert mixed is not None
    assert not mixed.is_separable


@pytest.mark.parametrize("outcome", [Outcome.TIE, Outcome.BOTH_BAD])
def test_votes_of_which_none_is_decided_are_told_as_such(outcome: Outcome) -> None:
    found = bradley_terry(duels(votes_of([outcome] * 30)))
    assert found is not None
    assert (found.num_decided, found.is_separable) == (0, False)
    assert [each.value for each in found.strengths] == [0, 0], "no rest of the arithmetic is told as a strength"
    mixed = bradley_terry(duels(votes_of([outcome] * 30 + [Outcome.FIRST, Outcome.SECOND, Outcome.SECOND])))
    assert mixed is not None
    assert mixed.num_decided == 3


def test_one_vote_is_no_certainty() -> None:
    found = bradley_terry(duels(votes_of([Outcome.FIRST])))
    assert found is not None
    assert found.is_separable
    assert all(each.interval.low < 0 < each.interval.high for each in found.strengths)


def test_an_interval_is_nowhere_narrower_than_that_of_independent_votes() -> None:
    # 40 wins of 60: the log-odds have the variance 1 / 40 + 1 / 20, and a log-strength is half of them.
    found = bradley_terry(
        duels(votes_of([Outcome.FIRST] * 40 + [Outcome.SECOND] * 20, rater=[0] * 60, prompt=[0] * 60))
    )
    assert found is not None
    expected = 1.96 * np.sqrt(1 / 40 + 1 / 20) / 2
    assert found.strengths[0].interval.high - found.strengths[0].value == pytest.approx(expected, rel=0.01)


def test_the_prior_hardly_moves_what_a_hundred_votes_say() -> None:
    plain, kept = (fitted([[60, 25, 15]], [[0, 1]], penalty) for penalty in (0.0, 0.01))
    assert kept == pytest.approx(plain, abs=2e-3)


def test_both_bad_is_a_tie_and_votes_within_one_policy_say_nothing() -> None:
    ties, bad = (
        bradley_terry(duels(votes_of([Outcome.FIRST, each, Outcome.SECOND] * 9)))
        for each in (Outcome.TIE, Outcome.BOTH_BAD)
    )
    assert ties is not None
    assert bad is not None
    assert ties.ties == pytest.approx(bad.ties) == pytest.approx(1.0, rel=0.01)
    alone = votes_of([Outcome.FIRST] * 5, policies=(1, 1))
    assert bradley_terry(duels(alone)) is None


def test_the_same_votes_give_the_same_intervals() -> None:
    votes: Votes = draw_votes(np.array([0.3, -0.3]), 0.5, num_votes=200, seed=3)
    assert bradley_terry(duels(votes)) == bradley_terry(duels(votes))
