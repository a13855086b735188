"""`unmask label ...`: ask people which picture is better: make tasks, give raters their links, see votes and flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from backend.cli.finding import TaskID, find_run, find_task
from backend.cli.output import AsJSON, age_text, err, out, print_json, print_table
from backend.cli.studio import LARGEST_PAGE, all_items, connect
from backend.client import StudioClient
from backend.schemas.pair_source import PairSourceConfig, PairSourceKind
from backend.schemas.preference import (
    DEFAULT_GUIDELINE,
    GoldConfig,
    LabelTask,
    LabelTaskCreate,
    LabelTaskEdit,
    PairStrategy,
    Rater,
    RaterCreate,
    RaterEdit,
    SamplesForPeople,
    TaskStatus,
)

MOST_ITEMS = 10_000

label_app = typer.Typer(help="Ask people which picture is better.", no_args_is_help=True, rich_markup_mode=None)
raters_app = typer.Typer(help="Who votes on a task.", no_args_is_help=True, rich_markup_mode=None)
label_app.add_typer(raters_app, name="raters")

RaterID = Annotated[UUID, typer.Argument(help="The rater's id")]
GuidelineFile = Annotated[
    Path | None, typer.Option("--guideline", exists=True, dir_okay=False, help="A text file: what raters look at")
]


@label_app.command()
def create(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(help="The evaluation, or the run whose pictures are compared")],
    name: Annotated[str, typer.Option(help="Shown in lists; raters do not see it")],
    kind: Annotated[PairSourceKind, typer.Option(help="Which pictures make a pair")] = PairSourceKind.EVALUATION,
    other_run_id: Annotated[str | None, typer.Option("--other-run", help="For kind runs: the second one")] = None,
    steps: Annotated[tuple[int, int] | None, typer.Option(help="For kind checkpoints: two steps")] = None,
    policies: Annotated[tuple[str, str], typer.Option(help="For kind evaluation")] = ("base", "policy"),
    run_policies: Annotated[tuple[str, str], typer.Option(help="For kind runs: one of each")] = ("policy", "policy"),
    strategy: Annotated[PairStrategy, typer.Option(help="Which pair comes next")] = PairStrategy.SHUFFLED,
    num_pairs: Annotated[int, typer.Option("--pairs", min=1, max=10_000, help="At most so many")] = 100,
    votes_per_pair: Annotated[int, typer.Option("--votes", min=1, max=100, help="By as many raters")] = 3,
    num_gold: Annotated[int, typer.Option("--gold", min=0, max=1000, help="Clear pairs that check raters")] = 0,
    least_gap: Annotated[float, typer.Option(min=1e-6, max=1000, help="A gold pair's rewards differ by this")] = 0.5,
    guideline: GuidelineFile = None,
    as_json: AsJSON = False,
) -> None:
    """Make a label task; then `unmask label raters add` gives people their links."""
    client = connect(context)
    wanted = LabelTaskCreate(
        name=name,
        guideline=_words(guideline) or DEFAULT_GUIDELINE,
        source=_source(client, kind, run_id, other_run_id, steps, policies, run_policies),
        strategy=strategy,
        num_pairs=num_pairs,
        votes_per_pair=votes_per_pair,
        gold=GoldConfig(num_pairs=num_gold, least_gap=least_gap),
    )
    task = client.create_label_task(wanted)
    if as_json:
        print_json(task)
        return
    print(task.id)
    err().print(f"{task.num_pairs} pairs and {task.num_gold} gold ones, {task.votes_per_pair} votes each")


@label_app.command()
def ask(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(help="The run: its id, its beginning, or last")],
    num_samples: Annotated[int, typer.Option("--samples", min=2, max=1000, help="At most so many")] = 50,
    step: Annotated[int | None, typer.Option(min=0, help="Nothing later than this step; empty = all")] = None,
    votes_per_pair: Annotated[int, typer.Option("--votes", min=1, max=3, help="By as many raters")] = 3,
    as_json: AsJSON = False,
) -> None:
    """Ask people about some samples of a run; the studio chooses pairs, name and guideline."""
    client = connect(context)
    wanted = SamplesForPeople(num_samples=num_samples, step=step, votes_per_pair=votes_per_pair)
    task = client.ask_people(find_run(client, run_id).id, wanted)
    if as_json:
        print_json(task)
        return
    print(task.id)
    err().print(f"{escape(task.name)}: {task.num_pairs} pairs; `unmask label raters add` gives people their links")


@label_app.command("list")
def list_tasks(
    context: typer.Context,
    status: Annotated[TaskStatus | None, typer.Option(help="Only these")] = None,
    as_json: AsJSON = False,
) -> None:
    """List label tasks, the newest first."""
    found = _tasks(connect(context), status)
    if as_json:
        print_json(found)
        return
    rows = [(str(each.id), escape(each.name), each.status.value, _progress(each), _raters(each)) for each in found]
    columns = ("id", "name", "status", "votes", "raters")
    print_table(columns, rows, "There are no label tasks: `unmask label create` makes one of an evaluation.")


@label_app.command()
def show(context: typer.Context, task_id: TaskID, as_json: AsJSON = False) -> None:
    """Show a label task: how far it is, what raters are told, and what they flagged."""
    client = connect(context)
    task = find_task(client, task_id)
    if as_json:
        print_json(task)
        return
    source = task.source
    out().print(f"{escape(task.name)}, {task.status.value}: {_progress(task, 'votes')} by {_raters(task)} raters")
    out().print(f"{task.num_pairs} pairs of {source.kind.value} {source.run_id}, {task.num_gold} gold, {task.strategy}")
    out().print(f"guideline, version {task.guideline_version}: {escape(task.guideline)}")
    flags = all_items(lambda after: client.list_flags(task.id, limit=LARGEST_PAGE, after=after), at_most=MOST_ITEMS)
    for flag in flags:
        out().print(escape(f"flagged: {flag.prompt}: {flag.reason}, samples {flag.sample_0} and {flag.sample_1}"))


@label_app.command()
def edit(
    context: typer.Context,
    task_id: TaskID,
    name: Annotated[str | None, typer.Option(help="Another name")] = None,
    guideline: GuidelineFile = None,
    status: Annotated[TaskStatus | None, typer.Option(help="closed: no pair is given out any more")] = None,
    as_json: AsJSON = False,
) -> None:
    """Rename, close or open a task, or give it the next version of its guideline."""
    client = connect(context)
    changes = LabelTaskEdit(name=name, guideline=_words(guideline), status=status)
    task = client.edit_label_task(find_task(client, task_id).id, changes)
    if as_json:
        print_json(task)
    else:
        err().print(f"{escape(task.name)}, {task.status.value}, guideline version {task.guideline_version}")


@raters_app.command()
def add(
    context: typer.Context,
    task_id: TaskID,
    labels: Annotated[list[str], typer.Argument(help="Names as you know them")],
    is_simulated: Annotated[bool, typer.Option("--simulated", help="Programs vote: marked as such everywhere")] = False,
    as_json: AsJSON = False,
) -> None:
    """Make raters. Each link is shown now and never again: the studio keeps only a hash of it."""
    client = connect(context)
    task = find_task(client, task_id)
    made = [client.create_rater(task.id, RaterCreate(label=label, is_simulated=is_simulated)) for label in labels]
    if as_json:
        print_json(made)
        return
    for rater in made:
        # Plain text, so that a link of any length is copied whole.
        print(f"{rater.label}\t{client.base_url}{rater.url}")
    err().print("Give each link to its rater now: it is not shown again, and opens nothing but the rater's page.")


@raters_app.command("list")
def list_raters(context: typer.Context, task_id: TaskID, as_json: AsJSON = False) -> None:
    """List a task's raters and how much each has voted."""
    client = connect(context)
    task = find_task(client, task_id)
    found = all_items(lambda after: client.list_raters(task.id, limit=LARGEST_PAGE, after=after), at_most=MOST_ITEMS)
    if as_json:
        print_json(found)
        return
    rows = [
        (str(each.id), escape(each.label), _marks(each), str(each.num_votes), age_text(each.last_vote_at))
        for each in found
    ]
    print_table(
        ("id", "name", "marks", "votes", "last vote"), rows, "No rater yet: `unmask label raters add` makes one."
    )


@raters_app.command()
def revoke(context: typer.Context, rater_id: RaterID) -> None:
    """Take a rater's link back; the votes stay."""
    rater = connect(context).edit_rater(rater_id, RaterEdit(is_revoked=True))
    err().print(f"The link of {escape(rater.label)} opens nothing any more; {rater.num_votes} votes stay")


@raters_app.command()
def exclude(
    context: typer.Context,
    rater_id: RaterID,
    is_undone: Annotated[bool, typer.Option("--undo", help="Count the votes again")] = False,
) -> None:
    """Leave a rater's votes out of all figures and pair sets; none is removed."""
    rater = connect(context).edit_rater(rater_id, RaterEdit(is_excluded=not is_undone))
    counted = "count in no figure" if rater.is_excluded else "count again"
    err().print(f"{rater.num_votes} votes of {escape(rater.label)} {counted}")


def _source(
    client: StudioClient,
    kind: PairSourceKind,
    run: str,
    other_run: str | None,
    steps: tuple[int, int] | None,
    policies: tuple[str, str],
    run_policies: tuple[str, str],
) -> PairSourceConfig:
    other = None if other_run is None else find_run(client, other_run).id
    return PairSourceConfig(
        kind=kind,
        run_id=find_run(client, run).id,
        other_run_id=other,
        steps=steps,
        policies=policies,
        run_policies=run_policies,
    )


def _words(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8")


def _tasks(client: StudioClient, status: TaskStatus | None = None) -> Sequence[LabelTask]:
    return all_items(
        lambda after: client.list_label_tasks(limit=LARGEST_PAGE, after=after, status=status), at_most=MOST_ITEMS
    )


def _progress(task: LabelTask, noun: str = "") -> str:
    """People's votes of those that are wanted; programs' are told apart."""
    told = f"{task.num_votes - task.num_simulated_votes} of {task.num_votes_wanted} {noun}".rstrip()
    return f"{told}, {task.num_simulated_votes} simulated" if task.num_simulated_votes else told


def _raters(task: LabelTask) -> str:
    return str(task.num_raters)


def _marks(rater: Rater) -> str:
    marks = (("simulated", rater.is_simulated), ("excluded", rater.is_excluded), ("link withdrawn", rater.is_revoked))
    return ", ".join(name for name, is_set in marks if is_set)
