"""Reads a part of a run's log file."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from backend.artifacts import run_folder
from backend.schemas.run import RunLog


def read_log(runs_dir: Path, run_id: UUID, *, offset: int | None, max_bytes: int) -> RunLog:
    """At most `max_bytes` from `offset` on, or the last ones; whole characters only, so that parts can be joined."""
    try:
        file = run_folder(runs_dir, run_id).path("log.txt").open("rb")
    except FileNotFoundError:
        return RunLog(text="", offset=0, next_offset=0, num_bytes=0)
    with file:
        num_bytes = file.seek(0, 2)
        begin = max(num_bytes - max_bytes, 0) if offset is None else min(offset, num_bytes)
        file.seek(begin)
        content = file.read(max_bytes)
    whole = _without_cut_character(content)
    return RunLog(
        text=whole.decode(errors="replace"), offset=begin, next_offset=begin + len(whole), num_bytes=num_bytes
    )


def _without_cut_character(content: bytes) -> bytes:
    """The bytes without a last UTF-8 character whose end is missing."""
    for length in range(1, min(4, len(content)) + 1):
        byte = content[-length]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return content[:-length] if needed > length else content
    return content
