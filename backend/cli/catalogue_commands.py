"""`unmask models` and `unmask recipes`: what a run can be made of."""

from __future__ import annotations

import typer
from rich.markup import escape

from backend.cli.output import AsJSON, age_text, print_json, print_table
from backend.cli.studio import LARGEST_PAGE, all_items, connect


def models(context: typer.Context, as_json: AsJSON = False) -> None:
    """List the policies that a run can start from."""
    client = connect(context)
    found = all_items(lambda after: client.list_models(limit=LARGEST_PAGE, after=after), at_most=10_000)
    if as_json:
        print_json(found)
        return
    rows = [
        (model.source, escape(model.name), age_text(model.created_at), escape(model.description)) for model in found
    ]
    print_table(("source", "name", "made", "what it is"), rows, "There is no model.")


def recipes(context: typer.Context, as_json: AsJSON = False) -> None:
    """List the recipes: configurations that reproduce a result."""
    found = connect(context).list_recipes()
    if as_json:
        print_json(found)
        return
    rows = [(recipe.name, escape(recipe.title), escape(recipe.cost), escape(recipe.expected)) for recipe in found]
    print_table(("name", "title", "cost", "expected"), rows, "There is no recipe.")
