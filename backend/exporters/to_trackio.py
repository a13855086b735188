"""trackio: one of its runs for each of ours, in a folder of this machine or on a server of its kind."""

from __future__ import annotations

import os
from collections.abc import Mapping

from backend.errors import MalformedError
from backend.exporters.sink import RunFacts, Tracker, load_package
from backend.schemas.run import RunStatus


class TrackioSink:
    """A run with trackio; `uri` is a server's address, or a folder instead of trackio's default one.

    trackio does not tell which steps it has, so an export that is repeated is a run of its own there.
    """

    tracker = Tracker.TRACKIO

    def __init__(self, facts: RunFacts, *, project: str, uri: str | None) -> None:
        is_server = uri is not None and uri.startswith(("http://", "https://"))
        if uri is not None and not is_server:
            # Read when the package is imported.
            os.environ["TRACKIO_DIR"] = uri
        trackio = load_package("trackio", Tracker.TRACKIO)
        self.last_step = -1
        try:
            self._run = trackio.init(
                project=project,
                name=f"{facts.name} {facts.id[-8:]}",
                config=dict(facts.settings),
                server_url=uri if is_server else None,
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        except Exception as error:
            # Of HTTP, of gradio or of the file system: the address is what a person can mend.
            raise MalformedError(f"trackio does not answer at {uri or 'its default folder'}: {error}") from error

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers of one step."""
        self._run.log(dict(values), step=step)
        self.last_step = step

    def close(self, *, outcome: RunStatus | None) -> None:
        """Ends the run there."""
        self._run.finish()
