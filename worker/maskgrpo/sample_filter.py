"""The paper's sample filter: groups whose rewards hardly differ teach nothing and are sampled again.

Departure 3 from the paper (docs/algorithm.md): a group without any spread always counts as vanishing. Otherwise, once a
tenth of the history has no spread, the 10th percentile would be 0 and nothing would be under it.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from backend.schemas.algorithm import SampleFilterConfig

MIN_HISTORY = 10
"""A percentile of fewer numbers says nothing: until then only groups without any spread vanish."""


class SampleFilter:
    """The history of the groups' reward std, and the threshold that follows from it."""

    def __init__(self, config: SampleFilterConfig) -> None:
        self.config = config
        self._history: deque[float] = deque(maxlen=config.history_size)

    @property
    def threshold(self) -> float:
        """The history's percentile; 0 while the history is short, or when the filter is off."""
        if not self.config.is_enabled or len(self._history) < min(MIN_HISTORY, self.config.history_size):
            return 0.0
        history = torch.tensor(tuple(self._history), dtype=torch.float64)
        return float(history.quantile(self.config.percentile / 100))

    @property
    def max_tries(self) -> int:
        """Re-samplings that a group may have; 0 when the filter is off."""
        return self.config.max_tries if self.config.is_enabled else 0

    def is_vanishing(self, stds: Tensor) -> Tensor:
        """Says which of (P,) float32 group stds lie under the threshold or are 0, as (P,) bool."""
        return (stds.double() < self.threshold) | (stds == 0)

    def record(self, stds: Tensor) -> None:
        """Adds the (P,) stds of a step's first rollouts: re-sampled ones would bend the history upwards."""
        self._history.extend(stds.tolist())

    def state_dict(self) -> dict[str, object]:
        """The history, oldest first."""
        return {"history": list(self._history)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Takes up a saved history."""
        history = state["history"]
        assert isinstance(history, list)
        self._history = deque((float(std) for std in history), maxlen=self.config.history_size)
