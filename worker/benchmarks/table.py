"""What was measured of every picture of one policy, by the measure's name. Knows neither pictures nor statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.figures.scores import Scores
from worker.maskgrpo.types import Rewards


class Table:
    """Scores (num_prompts, num_seeds) by name; NaN where a picture is not made yet, or was not judged so."""

    def __init__(self, num_prompts: int, num_seeds: int) -> None:
        self._shape = (num_prompts, num_seeds)
        self._scores: dict[str, Scores] = {}

    @property
    def scores(self) -> Mapping[str, Scores]:
        """What was measured, by measure, in the order in which the measures came."""
        return self._scores

    @property
    def names(self) -> tuple[str, ...]:
        """The measures of which there is at least one score, in the order in which they came."""
        return tuple(self._scores)

    def __getitem__(self, name: str) -> Scores:
        return self._scores.get(name, np.full(self._shape, np.nan))

    def enter(self, row: int, rewards: Rewards) -> None:
        """Fills in what was measured of one prompt's pictures."""
        for name, values in rewards.breakdown.items():
            self.enter_row(name, row, values.double().numpy())

    def enter_row(self, name: str, row: int, values: NDArray[np.float64] | float) -> None:
        """Fills in one measure of one prompt: of each picture, or one number for all of them."""
        self._scores.setdefault(name, np.full(self._shape, np.nan))[row] = values

    def to_state(self) -> dict[str, Any]:
        """Plain lists for a file; null stands for NaN."""
        return {name: [[_or_none(value) for value in row] for row in scores] for name, scores in self._scores.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `to_state`."""
        for name, rows in state.items():
            self._scores[name] = np.array(rows, dtype=np.float64)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
