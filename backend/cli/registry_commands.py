"""`unmask model ...` and `unmask alias ...`: enter, look at, fetch and delete models; set and move their names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from backend.cli.finding import whole_ref
from backend.cli.output import AsJSON, age_text, err, out, print_json, print_table
from backend.cli.studio import LARGEST_PAGE, all_items, connect
from backend.errors import MalformedError
from backend.schemas.registry import AliasSet, ModelImport

model_app = typer.Typer(help="Enter, look at, fetch and delete models.", no_args_is_help=True, rich_markup_mode=None)
alias_app = typer.Typer(
    help="Names that mean a model: set, move, look back.", no_args_is_help=True, rich_markup_mode=None
)

Ref = Annotated[
    str, typer.Argument(help="shipped, run:<id>@<step>, run:<id>, or what was imported: see `unmask models`")
]
Name = Annotated[str, typer.Argument(help="Lower case, digits and hyphens")]
Note = Annotated[str, typer.Option(help="Why")]


@model_app.command("import")
def import_model(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A folder of the server, or a hub name as showlab/show-o-512x512")],
    name: Annotated[str, typer.Option(help="Shown in lists")] = "",
    note: Note = "",
    as_json: AsJSON = False,
) -> None:
    """Enter a model from outside; nothing is copied."""
    model = connect(context).import_model(ModelImport(source=source, name=name, note=note))
    if as_json:
        print_json(model)
    else:
        out().print(escape(f"{model.source}: {model.name}"))


@model_app.command()
def lineage(context: typer.Context, ref: Ref, as_json: AsJSON = False) -> None:
    """Show what a model was made from and what was made from it."""
    client = connect(context)
    found = client.get_lineage(whole_ref(client, ref))
    if as_json:
        print_json(found)
        return
    names = {node.id: node.name for node in found.nodes}
    rows = [
        (escape(names[edge.product]), edge.relation.replace("_", " "), escape(names[edge.origin]), edge.ref)
        for edge in found.edges
    ]
    print_table(
        ("what", "how", "from", "exactly"), rows, "Nothing was made from it, and it was made from nothing here."
    )


@model_app.command()
def download(
    context: typer.Context,
    ref: Ref,
    out_file: Annotated[Path, typer.Option("--out", "-o", help="The zip archive to write")] = Path("model.zip"),
) -> None:
    """Fetch a model in Show-o's format as a zip archive."""
    client = connect(context)
    ref = whole_ref(client, ref)
    try:
        with out_file.open("wb") as file:
            num_bytes = client.download_model(ref, file)
    except OSError as error:
        raise MalformedError(f"{out_file} cannot be written: {error.strerror}") from error
    err().print(escape(f"{out_file}: {num_bytes / 2**20:.1f} MiB"))


@model_app.command()
def delete(context: typer.Context, ref: Ref) -> None:
    """Delete a checkpoint or an export, or an import's entry; what is used is refused with its users' names."""
    client = connect(context)
    ref = whole_ref(client, ref)
    client.delete_model(ref)
    err().print(escape(f"{ref} is deleted"))


@alias_app.command("set")
def set_alias(context: typer.Context, name: Name, ref: Ref, note: Note = "", as_json: AsJSON = False) -> None:
    """Have a name mean a policy or a reward model, new or moved; it keeps to the one or the other."""
    client = connect(context)
    alias = client.set_alias(name, AliasSet(target=whole_ref(client, ref), note=note))
    if as_json:
        print_json(alias)
    else:
        out().print(
            escape(f"alias:{alias.name} means {alias.kind.replace('_', ' ')} {alias.target}, move {alias.revision}")
        )


@alias_app.command("list")
def list_aliases(context: typer.Context, as_json: AsJSON = False) -> None:
    """List the aliases and what each means."""
    client = connect(context)
    found = all_items(lambda after: client.list_aliases(limit=LARGEST_PAGE, after=after), at_most=10_000)
    if as_json:
        print_json(found)
        return
    rows = [
        (each.name, each.kind.replace("_", " "), each.target, str(each.revision), age_text(each.updated_at))
        for each in found
    ]
    print_table(
        ("name", "kind", "source", "move", "moved"),
        rows,
        "There is no alias: `unmask alias set champion run:<id>@<step>`.",
    )


@alias_app.command()
def moves(context: typer.Context, name: Name, as_json: AsJSON = False) -> None:
    """Show what a name has meant, the newest first."""
    client = connect(context)
    found = all_items(lambda after: client.list_moves(name, limit=LARGEST_PAGE, after=after), at_most=10_000)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            str(each.revision),
            each.target or "given up",
            each.previous or "-",
            age_text(each.created_at),
            escape(each.note),
        )
        for each in found
    ]
    print_table(("move", "source", "before", "when", "why"), rows, f"No alias was ever called {name!r}.")


@alias_app.command("delete")
def delete_alias(context: typer.Context, name: Name) -> None:
    """Give a name up; runs that were started by it keep their model."""
    connect(context).delete_alias(name)
    err().print(f"alias:{name} is given up")
