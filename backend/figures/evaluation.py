"""An evaluation's figures: which of its measures are shares, and how two of its policies differ in all of them.

It is given arrays, from the job's own tables or from what is stored of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.figures.distances import Distances, distance_differences
from backend.figures.scores import Figures, Scores, mean_differences, share_differences, wins

CORRECT, STRICT, GENEVAL = "correct", "strict", "geneval"
DIVERSITY, PIXELS, DUPLICATES = "diversity", "pixel_diversity", "near_duplicates"
# What is a share of ones: by name, how its mean over tasks is called and what follows a task's name.
_SHARES = {CORRECT: ("overall", ""), STRICT: ("strict", "_strict")}
_SHARES_OF_GENEVAL = {GENEVAL: ("overall", "")}


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured of one policy's pictures, on the same prompts and seeds as of every other."""

    scores: Mapping[str, Scores]
    """by measure"""
    ranking: Scores
    """the score that ranks samples: who has the higher one wins"""
    distances: Distances = field(default_factory=Distances)


def share_names(*, is_geneval: bool) -> Mapping[str, tuple[str, str]]:
    """The measures that are shares of ones: what their mean over tasks is called, and what follows a task's name."""
    return _SHARES_OF_GENEVAL if is_geneval else _SHARES


def difference(tasks: Sequence[str | None], base: Measures, tuned: Measures, *, is_geneval: bool) -> Figures:
    """Tuned minus base in every measure of the base, paired by prompt and seed; and who wins how often.

    Args:
        tasks: each prompt's.
        base: what is compared to.
        tuned: what is compared.
        is_geneval: whether GenEval's verdict is what `overall` is made of.
    """
    shares = share_names(is_geneval=is_geneval)
    found = Figures()
    for name, scores in base.scores.items():
        others = tuned.scores.get(name, np.full_like(scores, np.nan))
        if name in shares:
            found |= share_differences(tasks, scores, others, *shares[name])
        else:
            found |= mean_differences(name, scores, others)
    return found | distance_differences(base.distances, tuned.distances) | wins(base.ranking, tuned.ranking)


def turned(found: Figures) -> Figures:
    """The same difference seen from the other policy: of a paired one that is exact, the intervals too."""
    counts = {"num_wins": "num_losses", "num_losses": "num_wins", "num_ties": "num_ties"}
    values = {
        name: found.values.get(counts[name]) if name in counts else None if value is None else _end(name, value)
        for name, value in found.values.items()
    }
    return Figures(values, {name: (_end(name, high), _end(name, low)) for name, (low, high) in found.intervals.items()})


def _end(name: str, value: float) -> float:
    # What is won of the pairs that differ is a share: the rest is what the other wins.
    return (1.0 if name == "win_rate" else 0.0) - value
