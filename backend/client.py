"""The typed REST client, one method a route: the only door for pages and command line. Raises what `errors` has."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from backend.errors import StudioError, UnavailableError, error_class
from backend.schemas.base import Page, Problem
from backend.schemas.config import RunKind
from backend.schemas.event import Event, StatusChanged
from backend.schemas.preflight import Preflight, PreflightRequest
from backend.schemas.run import (
    Checkpoint,
    MetricSeries,
    Model,
    Readiness,
    Recipe,
    Run,
    RunClone,
    RunCreate,
    RunEdit,
    RunLog,
    RunPreview,
    RunStatus,
    Version,
    Worker,
)
from backend.schemas.sample import Group, GroupStep, Sample, SampleFrames, Trajectory

Wire = TypeVar("Wire", bound=BaseModel)
RunID = UUID | str

_SILENCE_SECONDS = 45.0  # The server pings every 15 s: a stream that is silent three times as long is dead.


class StudioClient:
    """Speaks to one studio. `client.watch(run_id)` follows a run through restarts of the server."""

    def __init__(self, base_url: str, *, timeout: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        # Proxies of the environment are for the world outside; a studio is near.
        self._http = httpx.Client(base_url=self.base_url, timeout=timeout, transport=transport, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

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

    def list_events(self, run_id: RunID, *, after: int = 0, limit: int = 100) -> Page[Event]:
        """Events with a number above `after`."""
        return self._get(Page[Event], f"/runs/{run_id}/events", after=after, limit=limit)

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

    def list_groups(
        self,
        run_id: RunID,
        *,
        step: int | None = None,
        purpose: str | None = None,
        policy: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Page[Group]:
        """The groups of a step, the newest one when none is given."""
        path = f"/runs/{run_id}/groups"
        return self._get(Page[Group], path, step=step, purpose=purpose, policy=policy, limit=limit, after=after)

    def list_group_steps(self, run_id: RunID) -> list[GroupStep]:
        """Which steps have groups."""
        return [GroupStep.model_validate(each) for each in self._send("GET", f"/runs/{run_id}/groups/steps").json()]

    def get_sample(self, sample_id: RunID) -> Sample:
        """One sample."""
        return self._get(Sample, f"/samples/{sample_id}")

    def get_image(self, sample_id: RunID) -> bytes:
        """A sample's picture, as PNG."""
        return self._send("GET", f"/samples/{sample_id}/image").content

    def get_trajectory(self, sample_id: RunID) -> Trajectory:
        """A sample's unmasking steps."""
        return self._get(Trajectory, f"/samples/{sample_id}/trajectory")

    def request_frames(self, sample_id: RunID) -> SampleFrames:
        """Has each unmasking step decoded; asking again changes nothing."""
        return self._post(SampleFrames, f"/samples/{sample_id}/frames")

    def get_frames(self, sample_id: RunID) -> SampleFrames:
        """Where the decoding stands."""
        return self._get(SampleFrames, f"/samples/{sample_id}/frames")

    def get_frame(self, sample_id: RunID, step: int) -> bytes:
        """The picture after an unmasking step, as PNG."""
        return self._send("GET", f"/samples/{sample_id}/frames/{step}").content

    def get_replay(
        self, sample_id: RunID, kind: Literal["gif", "webp"], *, scale: int = 4, milliseconds: int = 250
    ) -> bytes:
        """The unmasking as an animation."""
        params = {"scale": scale, "milliseconds": milliseconds}
        return self._send("GET", f"/samples/{sample_id}/replay.{kind}", params=params).content

    def list_models(self, *, limit: int = 20, after: str | None = None) -> Page[Model]:
        """Policies that runs can start from."""
        return self._get(Page[Model], "/models", limit=limit, after=after)

    def list_recipes(self) -> list[Recipe]:
        """The shipped configurations."""
        return self._get(Page[Recipe], "/recipes").data

    def get_recipe(self, name: str) -> Recipe:
        """One shipped configuration."""
        return self._get(Recipe, f"/recipes/{name}")

    def list_workers(self) -> list[Worker]:
        """Workers that were heard from lately."""
        return self._get(Page[Worker], "/workers").data

    def get_version(self) -> Version:
        """What answers."""
        return self._get(Version, "/version")

    def get_config_schema(self) -> dict[str, Any]:
        """The JSON schema of a run's configuration."""
        schema: dict[str, Any] = self._send("GET", "/config-schema").json()
        return schema

    def check_readiness(self) -> Readiness:
        """Everything is there, or UnavailableError says what is not."""
        return Readiness.model_validate_json(self._request("GET", "/readyz").content)

    def watch(self, run_id: RunID, *, after: int = 0, patience_seconds: float = 120.0) -> Generator[Event]:
        """The run's events beyond `after`, as they happen, until the one that ends it.

        A broken connection is made anew and goes on after the last event; UnavailableError when the studio stays away
        for `patience_seconds`.
        """
        heard_at = time.monotonic()
        while True:
            try:
                for event in self._stream(run_id, after):
                    if event is None:
                        return
                    after, heard_at = event.seq, time.monotonic()
                    yield event
                    if isinstance(event.body, StatusChanged) and event.body.status.is_terminal:
                        return
            except UnavailableError:
                if time.monotonic() - heard_at > patience_seconds:
                    raise
            time.sleep(1.0)

    def _stream(self, run_id: RunID, after: int) -> Generator[Event | None]:
        """Events of one connection; None when the server says that there will be no more."""
        timeout = httpx.Timeout(10.0, read=_SILENCE_SECONDS)
        headers = {"Last-Event-ID": str(after), "Accept": "text/event-stream"}
        path = f"/api/v1/runs/{run_id}/events/stream"
        try:
            with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.status_code == 204:
                    yield None
                    return
                if response.is_error:
                    response.read()
                _raise_problem(response)
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield Event.model_validate_json(line.removeprefix("data:").strip())
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _get(self, kind: type[Wire], path: str, /, **params: Any) -> Wire:
        given = {name: value for name, value in params.items() if value is not None}
        return kind.model_validate_json(self._send("GET", path, params=given).content)

    def _post(self, kind: type[Wire], path: str, body: BaseModel | None = None, key: str | None = None) -> Wire:
        headers = {} if key is None else {"Idempotency-Key": key}
        content = None if body is None else body.model_dump_json()
        return kind.model_validate_json(self._send("POST", path, content=content, headers=headers).content)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._request(method, f"/api/v1{path}", **options)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if options.get("content") is not None:
            options["headers"] = {**options.get("headers", {}), "Content-Type": "application/json"}
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._away(error) from error
        _raise_problem(response)
        return response

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"no studio answers at {self.base_url} ({type(error).__name__}): start it with `unmask up`"
        )


def _raise_problem(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        kind = UnavailableError if response.status_code >= 500 else StudioError
        raise kind(f"{response.request.url} answered {response.status_code} without a reason") from None
    error = error_class(problem.status)(problem.detail, tuple(problem.errors))
    error.request_id = problem.request_id
    raise error
