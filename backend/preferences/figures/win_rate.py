"""How often one policy's picture is preferred to another's. A tie, and both bad, count a half for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.preferences.figures.intervals import Interval, percentiles, wider, wilson
from backend.preferences.figures.resampling import resampled_counts
from backend.preferences.figures.votes import NUM_RESAMPLES, Floats, Outcome, Votes

NUM_OUTCOMES = len(Outcome)


@dataclass(frozen=True)
class Duels:
    """Which policies met, and how often each outcome befell them, as given and for each resample."""

    policies: tuple[tuple[int, int], ...]
    """P pairs of policies, the lower number first"""
    counts: Floats
    """(P, 4): how often the lower one won, lost, tied, and both were bad"""
    resampled: Floats
    """(B, P, 4)"""


@dataclass(frozen=True)
class WinRate:
    """One policy against another."""

    policy: int
    opponent: int
    num_wins: int
    num_losses: int
    num_ties: int
    num_both_bad: int
    value: float
    """(wins + half of ties and both bad) over votes"""
    wilson: Interval
    """as if each vote were somebody else's on another prompt"""
    resampled: Interval
    """raters and prompts drawn anew, and nowhere narrower than Wilson's"""


def duels(votes: Votes, *, num_resamples: int = NUM_RESAMPLES) -> Duels:
    """Counts outcomes by pair of policies; votes on two pictures of one policy say nothing about policies."""
    votes = votes[votes.policy_0 != votes.policy_1]
    if len(votes) == 0:
        return Duels((), np.zeros((0, NUM_OUTCOMES)), np.zeros((num_resamples, 0, NUM_OUTCOMES)))
    is_turned = votes.policy_0 > votes.policy_1
    low, high = np.minimum(votes.policy_0, votes.policy_1), np.maximum(votes.policy_0, votes.policy_1)
    is_decided = votes.outcome <= Outcome.SECOND
    outcome = np.where(is_decided & is_turned, 1 - votes.outcome, votes.outcome)
    met, number = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    cell = number.reshape(-1) * NUM_OUTCOMES + outcome
    num_cells = met.shape[1] * NUM_OUTCOMES
    resampled = resampled_counts(cell, votes.rater, votes.prompt, num_cells, num_resamples=num_resamples)
    return Duels(
        policies=tuple((int(first), int(second)) for first, second in met.T),
        counts=np.bincount(cell, minlength=num_cells).astype(np.float64).reshape(-1, NUM_OUTCOMES),
        resampled=resampled.reshape(num_resamples, -1, NUM_OUTCOMES),
    )


def win_rates(found: Duels) -> list[WinRate]:
    """Each pair of policies that met, the later policy's rate against the earlier one: tuned against base."""
    rates = []
    for place, (low, high) in enumerate(found.policies):
        losses, wins, ties, both_bad = (int(count) for count in found.counts[place])
        total = wins + losses + ties + both_bad
        points = wins + (ties + both_bad) / 2
        interval = wilson(points, total)
        assert interval is not None, "policies that met have votes"
        drawn = found.resampled[:, place]
        with np.errstate(divide="ignore", invalid="ignore"):
            resampled = (drawn[:, 1] + drawn[:, 2:].sum(axis=1) / 2) / drawn.sum(axis=1)
        widest = wider(percentiles(resampled), interval) or interval
        rates.append(WinRate(high, low, wins, losses, ties, both_bad, points / total, interval, widest))
    return rates
