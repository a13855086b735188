"""All figures of some votes, in the words of the dictionary. Knows policies and raters by their numbers and names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.preferences.figures.agreement import Alpha, krippendorff_alpha
from backend.preferences.figures.davidson import bradley_terry
from backend.preferences.figures.intervals import Interval
from backend.preferences.figures.votes import Votes, preferences
from backend.preferences.figures.win_rate import Duels, duels, win_rates
from backend.schemas import vote_figures as wire


def summary(votes: Votes, policies: Sequence[str], simulated: Sequence[int]) -> wire.VoteFigures:
    """The figures of all votes but those on gold pairs.

    Args:
        policies: what to call each policy, by number.
        simulated: the raters that are programs.
    """
    votes = votes.without_gold()
    met = duels(votes)
    raters = np.unique(votes.rater)
    return wire.VoteFigures(
        num_votes=len(votes),
        num_raters=len(raters),
        num_simulated_raters=int(np.isin(raters, np.asarray(simulated, dtype=np.int64)).sum()),
        num_pairs=len(np.unique(votes.pair)),
        num_prompts=len(np.unique(votes.prompt)),
        win_rates=tuple(_win_rates(met, policies)),
        bradley_terry=_strengths(met, policies),
        preference_agreement=_agreement(krippendorff_alpha(votes.pair, preferences(votes.outcome), votes.prompt)),
        choice_agreement=_agreement(krippendorff_alpha(votes.pair, votes.outcome, votes.prompt)),
    )


def interval_of(found: Interval | None) -> wire.FigureInterval | None:
    """The interval as the API shows it."""
    return None if found is None else _told(found)


def _told(found: Interval) -> wire.FigureInterval:
    return wire.FigureInterval(low=found.low, high=found.high)


def _win_rates(met: Duels, policies: Sequence[str]) -> list[wire.WinRate]:
    return [
        wire.WinRate(
            policy=policies[rate.policy],
            opponent=policies[rate.opponent],
            num_wins=rate.num_wins,
            num_losses=rate.num_losses,
            num_ties=rate.num_ties,
            num_both_bad=rate.num_both_bad,
            value=rate.value,
            wilson=_told(rate.wilson),
            resampled=_told(rate.resampled),
        )
        for rate in win_rates(met)
    ]


def _strengths(met: Duels, policies: Sequence[str]) -> wire.BradleyTerry | None:
    found = bradley_terry(met)
    if found is None:
        return None
    return wire.BradleyTerry(
        strengths=tuple(
            wire.PolicyStrength(policy=policies[each.policy], value=each.value, interval=_told(each.interval))
            for each in found.strengths
        ),
        ties=found.ties,
        ties_interval=interval_of(found.ties_interval),
        is_separable=found.is_separable,
        num_decided=found.num_decided,
    )


def _agreement(found: Alpha) -> wire.Agreement:
    return wire.Agreement(
        value=found.value, interval=interval_of(found.interval), num_pairs=found.num_pairs, num_votes=found.num_votes
    )
