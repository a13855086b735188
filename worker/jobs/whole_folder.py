"""Folders that are there whole or not at all: written under another name, synced to the disk, then renamed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.artifacts import sync_folder, sync_tree


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Gives a temporary folder to write in; at the end of the block it becomes `target`, in the place of an older one.

    When the block raises, nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target.parent)
    temporary = _beside(target)
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        aside = _beside(target)
        if target.exists():  # A folder cannot be renamed onto a full one.
            target.rename(aside)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    """Removes what a killed process left half-written."""
    for path in parent.glob(".*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
