"""What the commands print: tables for people or JSON for programs on stdout, errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from backend.errors import StudioError

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people")]

# Columns that are copied or are numbers: never broken over lines, never cut.
_WHOLE = ("id", "source", "kind", "status", "step", "reward", "created")
# A long name is cut; any other text is broken over lines, none narrower than it is read well.
_WIDEST_NAME = 40
_NARROWEST_TEXT = 24
_STATUS_STYLES = {
    "running": "blue",
    "paused": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
    "queued": "dim",
}


def out() -> Console:
    """Where results go."""
    return Console(highlight=False)


def err() -> Console:
    """Where progress and remarks go."""
    return Console(stderr=True, highlight=False)


def print_json(value: BaseModel | Iterable[BaseModel] | Mapping[str, object]) -> None:
    """One JSON document on stdout; lists as they come."""
    if isinstance(value, BaseModel):
        print(value.model_dump_json(indent=2))
    elif isinstance(value, Mapping):
        print(json.dumps(value, indent=2))
    else:
        print(json.dumps([item.model_dump(mode="json") for item in value], indent=2, allow_nan=False))


def print_json_line(value: BaseModel) -> None:
    """One JSON document on one line, at once: for streams."""
    print(value.model_dump_json(), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """A plain table, or the sentence that says why there is none; wider than the terminal where ids need it."""
    lines = list(rows)
    if not lines:
        err().print(escape(empty))
        return
    table, console = Table(box=None, pad_edge=False, header_style="bold"), out()
    needed = 0
    for place, column in enumerate(columns):
        longest = max(Text.from_markup(cell).cell_len for cell in (column, *(line[place] for line in lines)))
        if column == "name":
            width = min(longest, _WIDEST_NAME)
            table.add_column(column, overflow="ellipsis", no_wrap=True, max_width=width)
        else:
            is_whole = column in _WHOLE
            width = longest if is_whole else min(longest, _NARROWEST_TEXT)
            table.add_column(column, overflow="fold", no_wrap=is_whole, min_width=width)
        needed += width + 1
    for line in lines:
        table.add_row(*line)
    console.width = max(console.width, needed + len(columns))
    console.print(table)


def show_error(error: StudioError) -> None:
    """One clear line a problem, as JSON where the command was asked for JSON."""
    if "--json" in sys.argv:
        body = {
            "code": error.code,
            "detail": error.detail,
            "errors": [problem.model_dump() for problem in error.errors],
        }
        print(json.dumps({"error": body}), file=sys.stderr)
        return
    print(f"error: {error.detail}", file=sys.stderr)
    for problem in error.errors:
        if problem.message not in error.detail:
            print(f"  {problem.pointer}: {problem.message}", file=sys.stderr)


def status_text(status: str) -> str:
    """A status in its colour; the word stays."""
    return f"[{_STATUS_STYLES.get(status, 'default')}]{status}[/]"


def number_text(value: float | None) -> str:
    """Three significant digits."""
    return "-" if value is None else f"{value:.3g}"


def age_text(moment: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if moment is None:
        return "-"
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def duration_text(seconds: float | None) -> str:
    """A duration in words."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"
