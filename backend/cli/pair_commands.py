"""`unmask pairs`: freeze votes into a pair set, import and export preference pairs, list and remove sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from backend.cli.finding import TaskID, find_pair_set, find_task
from backend.cli.label_results import print_results
from backend.cli.output import AsJSON, age_text, err, print_json, print_table
from backend.cli.studio import all_items, connect
from backend.errors import NotFoundError
from backend.schemas.pair_set import PairFormat, PairPart, PairSet, PairSetCreate

pairs_app = typer.Typer(help="Preference pairs: freeze votes, import, export.", no_args_is_help=True)

Format = Annotated[PairFormat, typer.Option("--format", help="pick_a_pic, hpdv2 or csv")]
Name = Annotated[str, typer.Option(help="What lists call the set")]
Excluded = Annotated[
    list[UUID] | None, typer.Option("--exclude-rater", help="Leave this rater out too; may be repeated")
]
Sha = Annotated[str, typer.Argument(help="The set: its SHA-256, its first or last characters, or its name")]


@pairs_app.command()
def freeze(
    context: typer.Context,
    label_task: TaskID,
    name: Name,
    exclude_rater: Excluded = None,
    as_json: AsJSON = False,
) -> None:
    """Keep a label task's votes, as they are now, as a pair set."""
    client = connect(context)
    task = find_task(client, label_task)
    wanted = PairSetCreate(name=name, label_task_id=task.id, exclude_rater=tuple(exclude_rater or ()))
    found = client.create_pair_set(wanted)
    _tell(found, as_json=as_json)
    _tell_known(found, name)


@pairs_app.command("import")
def import_pairs(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file, which is sent; or a folder, which the studio's machine reads")],
    format: Format,
    name: Name,
    as_json: AsJSON = False,
) -> None:
    """Make a pair set of existing pairs."""
    client = connect(context)
    if path.is_dir():
        found = client.create_pair_set(PairSetCreate(name=name, path=str(path.resolve()), format=format))
    else:
        found = client.upload_pair_set(path, format, name)
    _tell(found, as_json=as_json)
    _tell_known(found, name)


@pairs_app.command("list")
def list_sets(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many")] = 20,
    as_json: AsJSON = False,
) -> None:
    """List pair sets, the newest first."""
    client = connect(context)
    found = all_items(lambda after: client.list_pair_sets(limit=min(limit, 100), after=after), at_most=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each.sha256[:12],
            escape(each.name),
            str(each.num_pairs),
            str(each.num_votes),
            _raters(each),
            age_text(each.created_at),
        )
        for each in found
    ]
    columns = ("id", "name", "pairs", "votes", "raters", "created")
    print_table(columns, rows, "There are no pair sets: `unmask pairs freeze` makes one of a label task's votes.")


@pairs_app.command()
def export(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(help="A pair set: SHA-256, a part of it, or name; else a label task: id, a part of it, or name"),
    ],
    format: Format,
    out: Annotated[Path, typer.Option("--out", help="The file to write")],
    part: Annotated[PairPart | None, typer.Option(help="Only prompts of this part; empty = all")] = None,
    with_pictures: Annotated[bool, typer.Option(help="Of csv: a zip of the table and its pictures")] = False,
) -> None:
    """Write a pair set, or a label task's votes as they are now, as a file for other programs."""
    client = connect(context)
    try:
        found = find_pair_set(client, what)
    except NotFoundError:
        task = find_task(client, what)
        client.export_label_task(task.id, format, out, part=part, with_pictures=with_pictures)
    else:
        client.export_pair_set(found, format, out, part=part, with_pictures=with_pictures)
    err().print(f"Wrote {escape(str(out))}")


@pairs_app.command()
def results(
    context: typer.Context,
    label_task: TaskID,
    exclude_rater: Excluded = None,
    as_json: AsJSON = False,
) -> None:
    """Show what a label task's votes say so far: win rates, strengths, agreement, and each rater."""
    client = connect(context)
    found = client.get_label_results(find_task(client, label_task).id, exclude_rater=exclude_rater or ())
    if as_json:
        print_json(found)
    else:
        print_results(found)


@pairs_app.command()
def delete(context: typer.Context, sha256: Sha) -> None:
    """Remove a pair set that no run learns from."""
    client = connect(context)
    whole = find_pair_set(client, sha256)
    client.delete_pair_set(whole)
    err().print(f"Removed {whole[:12]}")


def _raters(each: PairSet) -> str:
    """How many voted, and how many of them are programs."""
    return f"{each.num_raters}" + (f", {each.num_simulated_raters} simulated" if each.num_simulated_raters else "")


def _tell(found: PairSet, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print(found.sha256)
    err().print(f"{found.num_pairs} pairs of {found.num_prompts} prompts, {found.num_votes} votes of {_raters(found)}")
    for reason, count in found.left_out.items():
        err().print(f"left out: {count} {reason}")


def _tell_known(found: PairSet, name: str) -> None:
    """The same pairs are the same set, which keeps its first name: whoever gave it another is told."""
    if found.name != name:
        text = f"these same pairs are kept already as {found.name!r} version {found.version}; {name!r} names nothing"
        err().print(escape(text), soft_wrap=True)
