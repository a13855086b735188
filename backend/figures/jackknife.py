"""The jackknife over parts of the prompts: how far a figure of all pictures would be off with other prompts and seeds.

For figures that are no mean over prompts, as FID: each part is left out once. Knows no picture and no feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.figures.intervals import student_quantile
from backend.figures.scores import Scores

NUM_PARTS = 20
# The spread between fewer prompts says nothing.
LEAST_PROMPTS = 6


def parts_of(num_prompts: int) -> NDArray[np.int64]:
    """(num_prompts,) the part of each prompt: equally many in each, the same for every policy of an evaluation."""
    places: NDArray[np.int64] = np.arange(num_prompts) % NUM_PARTS
    return np.random.default_rng(0).permutation(places)


@dataclass(frozen=True, eq=False)
class Jackknifed:
    """A figure of all prompts, and the same without each of K parts of them."""

    value: float
    without: Scores
    """(K,)"""

    def __sub__(self, other: Jackknifed) -> Jackknifed:
        """The difference, paired: both leave out the same prompts."""
        return Jackknifed(self.value - other.value, self.without - other.without)

    @property
    def extrapolated(self) -> float:
        """The figure of endlessly many prompts, if its bias falls with one over their number.

        Quenouille's: K times the value less K - 1 times the mean of the others.
        """
        number = len(self.without)
        return float(number * self.value - (number - 1) * self.without.mean())

    @property
    def standard_error(self) -> float:
        """Of the value, and to first order of what is extrapolated: Efron & Stein 1981, on average rather too large."""
        number = len(self.without)
        return float(np.sqrt((number - 1) / number * np.square(self.without - self.without.mean()).sum()))

    def interval(self, centre: float, further_variance: float = 0.0) -> tuple[float, float]:
        """95 % by Student's t with K - 1 degrees.

        Args:
            centre: the value, or what is extrapolated.
            further_variance: of what else varies, independent of the prompts.
        """
        margin = float(student_quantile(len(self.without) - 1) * np.hypot(self.standard_error, further_variance**0.5))
        return centre - margin, centre + margin
