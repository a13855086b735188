"""What one rater's votes are worth: gold answers, side bias, pace, agreement with the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.preferences.figures.intervals import Interval, fair_coin_p_value, wilson
from backend.preferences.figures.votes import Flags, Floats, Outcome, Votes, preferences

# Nobody reads a prompt and compares two pictures in less.
FLOOR_MILLISECONDS = 700.0


@dataclass(frozen=True)
class RaterFigures:
    """One rater."""

    rater: int
    num_votes: int
    """gold pairs included"""
    num_gold: int
    num_gold_right: int
    gold_interval: Interval | None
    num_left: int
    """votes for the left picture, of those for either"""
    num_sided: int
    left_interval: Interval | None
    side_p_value: float
    """how often somebody without a bias would be at least this one-sided"""
    median_milliseconds: float | None
    num_hasty: int
    """votes faster than the floor"""
    agreement: float | None
    """mean share of the others' votes on the same pairs that chose the same; None where nobody shares a pair"""
    num_shared: int
    """own votes on pairs that somebody else voted on too"""


def rater_figures(votes: Votes, num_raters: int, *, floor: float = FLOOR_MILLISECONDS) -> list[RaterFigures]:
    """Figures of each rater, 0 to `num_raters` - 1, gold pairs included.

    Args:
        floor: in milliseconds; faster votes are hasty.
    """
    shares = _shares_of_others(votes)
    return [_figures(number, votes, votes.rater == number, shares, floor) for number in range(num_raters)]


def _figures(number: int, votes: Votes, own: Flags, shares: Floats, floor: float) -> RaterFigures:
    mine, of_others = votes[own], shares[own]
    gold = mine[mine.known >= 0]
    num_right = int((preferences(gold.outcome) == preferences(gold.known)).sum())
    sided = mine[mine.outcome <= Outcome.SECOND]
    num_left = int(((sided.outcome == Outcome.FIRST) == sided.is_first_left).sum())
    is_shared = ~np.isnan(of_others)
    return RaterFigures(
        rater=number,
        num_votes=len(mine),
        num_gold=len(gold),
        num_gold_right=num_right,
        gold_interval=wilson(num_right, len(gold)),
        num_left=num_left,
        num_sided=len(sided),
        left_interval=wilson(num_left, len(sided)),
        side_p_value=fair_coin_p_value(num_left, len(sided)),
        median_milliseconds=float(np.median(mine.milliseconds)) if len(mine) else None,
        num_hasty=int((mine.milliseconds < floor).sum()),
        agreement=float(of_others[is_shared].mean()) if is_shared.any() else None,
        num_shared=int(is_shared.sum()),
    )


def _shares_of_others(votes: Votes) -> Floats:
    """Return (N,): the share of the other votes on a vote's pair that chose the same; NaN where there is none.

    Both bad is a tie here, and a rater's own earlier vote on the same pair is one of the others'.
    """
    if len(votes) == 0:
        return np.zeros(0)
    chosen = preferences(votes.outcome)
    counts = np.zeros((int(votes.pair.max()) + 1, len(Outcome)))
    np.add.at(counts, (votes.pair, chosen), 1)
    num_others = counts.sum(axis=1)[votes.pair] - 1
    same = counts[votes.pair, chosen] - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(num_others > 0, same / num_others, np.nan)
