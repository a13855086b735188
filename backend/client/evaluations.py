"""Comparisons of base and tuned, over REST."""

from __future__ import annotations

from typing import IO

from backend.client.connection import Connection, RunID
from backend.schemas.base import Page
from backend.schemas.evaluation import Comparison, ExportFormat, PairOrder, SamplePair
from backend.schemas.overlap import Overlap


class EvaluationRoutes(Connection):
    """Reading comparisons and their pairs."""

    def get_comparison(self, run_id: RunID, *, base: str | None = None) -> Comparison:
        """What an evaluate run has measured of its policies; compared to the first unless another one is named."""
        return self._get(Comparison, f"/evaluations/{run_id}", base=base)

    def get_overlap(self, run_id: RunID) -> Overlap:
        """Which prompts of an evaluation its policies were trained on."""
        return self._get(Overlap, f"/evaluations/{run_id}/overlap")

    def list_pairs(
        self,
        run_id: RunID,
        *,
        order: PairOrder = PairOrder.WORST,
        task: str | None = None,
        base: str | None = None,
        policy: str | None = None,
        min_difference: float | None = None,
        max_difference: float | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Page[SamplePair]:
        """Pairs of one prompt and seed, the worst regressions first unless asked otherwise."""
        return self._get(
            Page[SamplePair],
            f"/evaluations/{run_id}/pairs",
            order=order.value,
            task=task,
            base=base,
            policy=policy,
            min_difference=min_difference,
            max_difference=max_difference,
            limit=limit,
            after=after,
        )

    def export_pairs(self, run_id: RunID, *, base: str | None = None, policy: str | None = None) -> str:
        """All stored pairs of two policies as CSV."""
        chosen = {name: value for name, value in (("base", base), ("policy", policy)) if value is not None}
        return self._send("GET", f"/evaluations/{run_id}/export", params=chosen).text

    def get_pair(
        self, run_id: RunID, sample_id: RunID, *, base: str | None = None, policy: str | None = None
    ) -> SamplePair:
        """The pair of which a sample is either picture."""
        return self._get(SamplePair, f"/evaluations/{run_id}/pairs/{sample_id}", base=base, policy=policy)

    def export_comparison(
        self,
        run_id: RunID,
        wanted: ExportFormat,
        file: IO[bytes],
        *,
        base: str | None = None,
        policy: str | None = None,
        num_pairs: int = 24,
    ) -> int:
        """Writes all pairs as a table, or a report in one file, into an open file; gives its size in bytes."""
        chosen = {"base": base, "policy": policy}
        params = {name: label for name, label in chosen.items() if label is not None}
        return self._receive(f"/evaluations/{run_id}/export", file, format=wanted.value, num_pairs=num_pairs, **params)
