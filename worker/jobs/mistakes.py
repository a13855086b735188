"""The mistakes that end a run, in words for the person whose run it was."""

from __future__ import annotations

import errno

from pydantic import ValidationError

from backend.schemas.refusal import refusal


def last_words(error: ValueError | OSError) -> str:
    """An error in a sentence for the person whose run it ended."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"the run's configuration is broken at {'.'.join(map(str, first['loc']))}: {refusal(first)}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return f"the disk is full{where}: free some space, then clone the run; nothing half-written was left behind"
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is missing: put it back, or clone the run"
    return str(error)
