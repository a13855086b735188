"""How likely votes are under a model's score differences, and the temperature under which they are likeliest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Temperatures that are tried, as powers of e.
_COLDEST, _HOTTEST, _NUM_TRIED = -3.0, 5.0, 801

Array = NDArray[np.float64]


def pair_losses(differences: Array, labels: Array) -> Array:
    """Return (P,) cross entropies of score differences and shares of votes for the first picture, in nats."""
    losses: Array = labels * np.logaddexp(0, -differences) + (1 - labels) * np.logaddexp(0, differences)
    return losses


def fit_temperature(differences: Array, labels: Array, weights: Array) -> tuple[float, float]:
    """Return the divisor of the scores under which they predict the votes best, and the weighted mean loss there.

    It is searched on a grid from exp(-3) to exp(5), so that scores without any relation to the votes, whose best
    divisor is infinite, have an answer too.
    """
    tried = np.exp(np.linspace(_COLDEST, _HOTTEST, _NUM_TRIED))
    losses = [float((weights * pair_losses(differences / each, labels)).mean()) for each in tried]
    place = int(np.argmin(losses))
    return float(tried[place]), losses[place]
