"""`unmask export-metrics`: a run's numbers into Weights & Biases, MLflow or trackio, live where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.markup import escape

from backend.cli.finding import RunID, find_run
from backend.cli.output import err
from backend.cli.studio import LARGEST_PAGE, connect
from backend.client import StudioClient
from backend.exporters import Tracker, export_events, open_sink
from backend.exporters.sink import facts_of
from backend.schemas.event import Event
from backend.schemas.run import Run


def export_metrics(
    context: typer.Context,
    run_id: RunID,
    to: Annotated[Tracker, typer.Option(help="Where to; each is an extra: pip install 'unmask-studio[mlflow]'")],
    uri: Annotated[
        str | None,
        typer.Option(
            help="mlflow: sqlite:///mlflow.db or its server; wandb: a server or offline:FOLDER; trackio: a folder"
        ),
    ] = None,
    project: Annotated[str, typer.Option(help="The project, or experiment, there")] = "unmask-studio",
    follow: Annotated[bool, typer.Option("--follow", help="Stay until the run ends, and send each step")] = False,
) -> None:
    """Send a run's metrics and scores to another program; run again, it goes on where it stopped."""
    client = connect(context)
    run = find_run(client, run_id)
    sink = open_sink(to, facts_of(run), project=project, uri=uri)
    num_steps = export_events(client.watch(run.id) if follow else _events_so_far(client, run), sink)
    err().print(escape(f"{run.name}: {num_steps} steps sent to {to} as {project!r}"))


def _events_so_far(client: StudioClient, run: Run) -> Iterator[Event]:
    after = 0
    while page := client.list_events(run.id, after=after, limit=LARGEST_PAGE).data:
        yield from page
        after = page[-1].seq
