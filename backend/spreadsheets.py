"""Text in CSV cells that spreadsheets would run as formulas: made harmless, and read back. Knows no table's columns."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """The text with an apostrophe before what a spreadsheet would take for a formula; `as_written` takes it off.

    A text that looks as if it had one already gets another, so that every text comes back as it was.
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def as_written(cell: str) -> str:
    """The text of a cell that `plain` made."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell
