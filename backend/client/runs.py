"""Runs, over REST."""

from __future__ import annotations

from collections.abc import Sequence

from backend.client.connection import Connection, RunID
from backend.schemas.base import Page
from backend.schemas.every_run import RunKind
from backend.schemas.preflight import Preflight, PreflightRequest
from backend.schemas.run import (
    Checkpoint,
    MetricSeries,
    Run,
    RunClone,
    RunCreate,
    RunEdit,
    RunLog,
    RunPreview,
    RunStatus,
)


class RunRoutes(Connection):
    """Launching, steering and reading runs."""

    def create_run(self, wanted: RunCreate, *, idempotency_key: str | None = None) -> Run:
        """Queues a run; with a key, a repeat gives the run that the first try made."""
        return self._post(Run, "/runs", wanted, idempotency_key)

    def preview_run(self, wanted: RunCreate) -> RunPreview:
        """Checks a configuration without running it."""
        return self._post(RunPreview, "/runs/preview", wanted)

    def preflight(self, wanted: PreflightRequest) -> Preflight:
        """What a run would need, and what to change where it does not fit."""
        return self._post(Preflight, "/preflight", wanted)

    def list_runs(
        self,
        *,
        limit: int = 20,
        after: str | None = None,
        status: Sequence[RunStatus] = (),
        kind: Sequence[RunKind] = (),
        tag: str | None = None,
        search: str | None = None,
    ) -> Page[Run]:
        """Runs, the newest first."""
        filters = {"status": list(status), "kind": list(kind), "tag": tag, "search": search}
        return self._get(Page[Run], "/runs", limit=limit, after=after, **filters)

    def get_run(self, run_id: RunID) -> Run:
        """One run."""
        return self._get(Run, f"/runs/{run_id}")

    def edit_run(self, run_id: RunID, changes: RunEdit, *, if_match: str | None = None) -> Run:
        """Changes name or tags."""
        headers = {} if if_match is None else {"If-Match": if_match}
        content = changes.model_dump_json(exclude_unset=True)
        return Run.model_validate_json(self._send("PATCH", f"/runs/{run_id}", content=content, headers=headers).content)

    def cancel_run(self, run_id: RunID) -> Run:
        """Cancels a run, within one step."""
        return self._post(Run, f"/runs/{run_id}/cancel")

    def pause_run(self, run_id: RunID) -> Run:
        """Pauses a run, within one step."""
        return self._post(Run, f"/runs/{run_id}/pause")

    def resume_run(self, run_id: RunID) -> Run:
        """Queues a paused run again."""
        return self._post(Run, f"/runs/{run_id}/resume")

    def save_checkpoint(self, run_id: RunID) -> Run:
        """Asks for a checkpoint after the step in hand."""
        return self._post(Run, f"/runs/{run_id}/save-checkpoint")

    def sample_now(self, run_id: RunID) -> Run:
        """Asks for pictures after the step in hand."""
        return self._post(Run, f"/runs/{run_id}/sample-now")

    def clone_run(self, run_id: RunID, changes: RunClone | None = None, *, idempotency_key: str | None = None) -> Run:
        """Queues a run with another's configuration."""
        return self._post(Run, f"/runs/{run_id}/clone", changes or RunClone(), idempotency_key)

    def list_metrics(
        self, run_id: RunID, *, keys: Sequence[str] = (), after_step: int = -1, max_points: int = 2000
    ) -> MetricSeries:
        """Metrics of later steps, thinned to `max_points`."""
        wanted = ",".join(keys) or None
        return self._get(
            MetricSeries, f"/runs/{run_id}/metrics", keys=wanted, after_step=after_step, max_points=max_points
        )

    def list_checkpoints(self, run_id: RunID, *, limit: int = 20, after: str | None = None) -> Page[Checkpoint]:
        """Checkpoints, the newest first."""
        return self._get(Page[Checkpoint], f"/runs/{run_id}/checkpoints", limit=limit, after=after)

    def get_log(self, run_id: RunID, *, offset: int | None = None, max_bytes: int = 65_536) -> RunLog:
        """A part of the log file, its end when no offset is given."""
        return self._get(RunLog, f"/runs/{run_id}/log", offset=offset, max_bytes=max_bytes)
