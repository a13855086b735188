"""`unmask run ...`: create, look at, follow and steer runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from backend.cli import run_views
from backend.cli.configuration import checked, read_source
from backend.cli.finding import RunID, find_run, whole_refs
from backend.cli.follow import follow, tell_alarms
from backend.cli.output import AsJSON, err, out, print_json
from backend.cli.studio import LARGEST_PAGE, all_items, connect
from backend.client import StudioClient
from backend.schemas.every_run import RunKind
from backend.schemas.run import Run, RunClone, RunCreate, RunStatus

run_app = typer.Typer(help="Create, look at, follow and steer runs.", no_args_is_help=True, rich_markup_mode=None)

Changes = Annotated[
    list[str] | None, typer.Option("--set", help="Change a field: rollout.group_size=8; may be repeated")
]
Watch = Annotated[bool, typer.Option("--watch", help="Follow the run to its end; exit code 1 when it fails")]


@run_app.command()
def create(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A recipe's name (`unmask recipes`) or a YAML file")],
    changes: Changes = None,
    name: Annotated[str | None, typer.Option(help="Shown in lists")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find it by; may be repeated")] = None,
    watch: Watch = False,
    as_json: AsJSON = False,
) -> None:
    """Queue a run from a recipe or a YAML file."""
    client = connect(context)
    values, recipe = read_source(client, source)
    if name is not None:
        values["name"] = name
    config = whole_refs(client, checked(values, changes or ()))
    run = client.create_run(RunCreate(config=config, recipe=recipe, tags=tuple(tag or ())))
    _tell_or_watch(client, run, watch=watch, as_json=as_json)


@run_app.command("list")
def list_runs(
    context: typer.Context,
    status: Annotated[list[RunStatus] | None, typer.Option(help="Only these; may be repeated")] = None,
    kind: Annotated[list[RunKind] | None, typer.Option(help="Only these; may be repeated")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, the newest first")] = 20,
    as_json: AsJSON = False,
) -> None:
    """List runs, the newest first."""
    client = connect(context)
    runs = all_items(
        lambda after: client.list_runs(
            limit=min(limit, LARGEST_PAGE), after=after, status=status or (), kind=kind or (), tag=tag
        ),
        at_most=limit,
    )
    if as_json:
        print_json(runs)
    else:
        run_views.print_runs(runs)


@run_app.command()
def show(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """Show one run: status, progress, latest metrics, error, configuration."""
    run = find_run(connect(context), run_id)
    if as_json:
        print_json(run)
    else:
        run_views.print_run(run)


@run_app.command()
def watch(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """Follow a run to its end; with --json one event a line. Exit code 1 when it fails or is cancelled."""
    client = connect(context)
    raise typer.Exit(follow(client, find_run(client, run_id), as_json=as_json))


@run_app.command()
def cancel(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """End a run after its present step; a finished run stays as it is."""
    client = connect(context)
    _tell(client.cancel_run(find_run(client, run_id).id), as_json)


@run_app.command()
def pause(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """Stop a run at a checkpoint; `resume` goes on exactly there."""
    client = connect(context)
    _tell(client.pause_run(find_run(client, run_id).id), as_json)


@run_app.command()
def resume(context: typer.Context, run_id: RunID, watch: Watch = False, as_json: AsJSON = False) -> None:
    """Go on with a paused run."""
    client = connect(context)
    _tell_or_watch(client, client.resume_run(find_run(client, run_id).id), watch=watch, as_json=as_json)


@run_app.command()
def save(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """Save a checkpoint after the present step."""
    client = connect(context)
    _tell(client.save_checkpoint(find_run(client, run_id).id), as_json)


@run_app.command("sample-now")
def sample_now(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """Make pictures of the policy as it is after the present step."""
    client = connect(context)
    _tell(client.sample_now(find_run(client, run_id).id), as_json)


@run_app.command()
def clone(
    context: typer.Context,
    run_id: RunID,
    changes: Changes = None,
    name: Annotated[str | None, typer.Option(help="Shown in lists")] = None,
    watch: Watch = False,
    as_json: AsJSON = False,
) -> None:
    """Queue a run with the configuration of another, changed where you say so."""
    client = connect(context)
    parent = find_run(client, run_id)
    config = whole_refs(client, checked(parent.config.model_dump(mode="json"), changes or ()))
    run = client.clone_run(parent.id, RunClone(config=config, name=name))
    _tell_or_watch(client, run, watch=watch, as_json=as_json)


@run_app.command()
def log(
    context: typer.Context,
    run_id: RunID,
    whole: Annotated[bool, typer.Option("--all", help="From the beginning, not only the end")] = False,
    as_json: AsJSON = False,
) -> None:
    """Print the log of a run's job."""
    client = connect(context)
    run = find_run(client, run_id)
    part = client.get_log(run.id, offset=0 if whole else None)
    while True:
        if as_json:
            print_json(part)
        else:
            out().print(escape(part.text), end="", soft_wrap=True)
        if not whole or part.next_offset >= part.num_bytes:
            return
        part = client.get_log(run.id, offset=part.next_offset)


@run_app.command()
def groups(
    context: typer.Context,
    run_id: RunID,
    step: Annotated[int | None, typer.Option(min=0, help="Which step; empty = the newest")] = None,
    as_json: AsJSON = False,
) -> None:
    """Show the groups of a step: prompts, rewards, and what was kept or filtered and why."""
    client = connect(context)
    run = find_run(client, run_id)
    found = all_items(
        lambda after: client.list_groups(run.id, step=step, limit=LARGEST_PAGE, after=after), at_most=10_000
    )
    if as_json:
        print_json(found)
    else:
        run_views.print_groups(found)


def _tell(run: Run, as_json: bool) -> None:
    if as_json:
        print_json(run)
    else:
        out().print(run_views.line_of(run))


def _tell_or_watch(client: StudioClient, run: Run, *, watch: bool, as_json: bool) -> None:
    if not watch:
        _tell(run, as_json)
        tell_alarms(client, run)
        return
    if not as_json:
        err().print(run_views.line_of(run))
    raise typer.Exit(follow(client, run, as_json=as_json))
