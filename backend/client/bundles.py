"""Run bundles, over REST."""

from __future__ import annotations

from typing import IO

from backend.client.connection import Connection, RunID


class BundleRoutes(Connection):
    """Fetching a run in one file."""

    def download_bundle(
        self,
        run_id: RunID,
        file: IO[bytes],
        *,
        num_groups: int = 24,
        has_inputs: bool = True,
        has_weights: bool = False,
    ) -> int:
        """Writes a run's bundle into an open file; gives its size in bytes."""
        params = {"num_groups": num_groups, "inputs": has_inputs, "weights": has_weights}
        return self._receive(f"/runs/{run_id}/bundle", file, **params)
