"""`unmask prompts`: list, upload, show and download prompt sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from backend.cli.finding import one_of
from backend.cli.output import AsJSON, age_text, err, print_json, print_table
from backend.cli.studio import all_items, connect
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.schemas.prompt_set import PromptFormat, PromptSet

prompts_app = typer.Typer(help="Prompt sets: lists of prompts that runs name.", no_args_is_help=True)

SHORTEST_HASH = 6
# What a file's ending says of its format.
ENDINGS = {".txt": PromptFormat.TEXT, ".csv": PromptFormat.CSV, ".jsonl": PromptFormat.JSONL}

Which = Annotated[str, typer.Argument(help="The set's id or name, or the SHA-256 of its last version; as in `list`")]
Version = Annotated[int | None, typer.Option("--version", min=1, help="Empty = the last one")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many")]


@prompts_app.command("list")
def list_sets(context: typer.Context, limit: Limit = 20, as_json: AsJSON = False) -> None:
    """List prompt sets, the newest first; the shipped ones last."""
    client = connect(context)
    found = all_items(lambda after: client.list_prompt_sets(limit=min(limit, 100), after=after), at_most=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            str(each.id),
            escape(each.name),
            str(each.latest.version),
            str(each.latest.num_prompts),
            ", ".join(each.latest.tasks),
            "shipped" if each.is_builtin else age_text(each.created_at),
        )
        for each in found
    ]
    print_table(("id", "name", "version", "prompts", "tasks", "created"), rows, "There are no prompt sets.")


@prompts_app.command()
def upload(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="UTF-8 text, CSV or JSON lines, as GenEval's evaluation_metadata.jsonl")],
    name: Annotated[str, typer.Option(help="What lists call it; empty = the file's name")] = "",
    format: Annotated[PromptFormat | None, typer.Option("--format", help="Empty = told by the file's ending")] = None,
    to: Annotated[str, typer.Option("--to", help="Makes the next version of this set instead of a new one")] = "",
    as_json: AsJSON = False,
) -> None:
    """Make a prompt set of a file; prints the hash that a run's prompts.prompt_set takes."""
    wanted = format or ENDINGS.get(path.suffix.lower())
    if wanted is None:
        raise MalformedError(f"{path.name} does not end in {', '.join(ENDINGS)}: say --format text, csv or jsonl")
    client = connect(context)
    earlier = find_prompt_set(client, to) if to else None
    called = name or (earlier.name if earlier else path.stem)
    made = client.upload_prompt_set(path, wanted, called, prompt_set_id=None if earlier is None else earlier.id)
    if as_json:
        print_json(made)
        return
    print(made.latest.sha256)
    latest = made.latest
    again = f", {latest.num_duplicates} of them again" if latest.num_duplicates else ""
    err().print(f"{escape(made.name)}, version {latest.version}: {latest.num_prompts} prompts{again}")


@prompts_app.command()
def show(
    context: typer.Context, which: Which, version: Version = None, limit: Limit = 20, as_json: AsJSON = False
) -> None:
    """Show a set's prompts."""
    client = connect(context)
    found = find_prompt_set(client, which)
    prompts = all_items(
        lambda after: client.list_prompts(found.id, version=version, limit=min(limit, 100), after=after), at_most=limit
    )
    if as_json:
        print_json(prompts)
        return
    rows = [(escape(each.text), each.task or "-", escape(", ".join(each.tags))) for each in prompts]
    print_table(("prompt", "task", "tags"), rows, "The set has no prompts.")


@prompts_app.command()
def download(
    context: typer.Context,
    which: Which,
    out: Annotated[Path, typer.Option("--out", help="The file to write")],
    format: Annotated[PromptFormat | None, typer.Option("--format", help="Empty = told by the file's ending")] = None,
    version: Version = None,
) -> None:
    """Write a version to a file."""
    wanted = format or ENDINGS.get(out.suffix.lower(), PromptFormat.JSONL)
    client = connect(context)
    content = client.download_prompt_set(find_prompt_set(client, which).id, wanted, version=version)
    try:
        out.write_bytes(content)
    except OSError as error:
        raise MalformedError(f"{out} cannot be written: {error.strerror}") from error
    err().print(f"Wrote {escape(str(out))}")


def find_prompt_set(client: StudioClient, which: str) -> PromptSet:
    """The only set of an id or a part of one, a name, or a beginning of its last version's hash.

    Raises:
        NotFoundError: when there is none.
        ConflictError: when there are several.
    """
    try:
        return client.get_prompt_set(UUID(which))
    except ValueError:
        sets = all_items(lambda after: client.list_prompt_sets(limit=100, after=after), at_most=100_000)
    see = "unmask prompts list"
    hashes = [each for each in sets if len(which) >= SHORTEST_HASH and each.latest.sha256.startswith(which.lower())]
    if len(hashes) == 1:
        return hashes[0]
    return one_of(sets, which, "prompt sets", ids=lambda each: str(each.id), names=lambda each: each.name, see=see)
