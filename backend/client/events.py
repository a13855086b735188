"""A run's events, over REST and as a stream that survives restarts of the server."""

from __future__ import annotations

import time
from collections.abc import Generator

import httpx

from backend.client.connection import Connection, RunID, raise_problem
from backend.errors import UnavailableError
from backend.schemas.base import Page
from backend.schemas.event import Event, StatusChanged

_SILENCE_SECONDS = 45.0  # The server pings every 15 s: a stream that is silent three times as long is dead.


class EventRoutes(Connection):
    """Reading and following events."""

    def list_events(self, run_id: RunID, *, after: int = 0, limit: int = 100) -> Page[Event]:
        """Events with a number above `after`."""
        return self._get(Page[Event], f"/runs/{run_id}/events", after=after, limit=limit)

    def list_alarms(self, run_id: RunID) -> list[Event]:
        """The run's alarms that still stand, the newest first."""
        return self._get(Page[Event], f"/runs/{run_id}/alarms").data

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
                raise_problem(response)
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield Event.model_validate_json(line.removeprefix("data:").strip())
        except httpx.TransportError as error:
            raise self._away(error) from error
