"""Keeps what is being named from being deleted, and what is being deleted from being named.

Whoever names a thing locks it along with others, whoever deletes it alone, each until its transaction ends: so the
second to come sees what the first has done. Things are known by their names alone; no table and no file is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

_RUN = re.compile(r"(run:[0-9a-fA-F-]{36})(@\d{1,9})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The settings whose value names something whatever it looks like: a folder, a hub name.
_NAMING = ("source", "base")


def lock_named(session: Session, names: Iterable[str]) -> None:
    """Waits while one of them is being deleted; nobody deletes one until this transaction ends.

    Call it before asking whether they are there. Aliases that are read are locked first, so that nobody waits in a
    circle.
    """
    _lock(session, names, func.pg_advisory_xact_lock_shared)


def lock_for_deletion(session: Session, names: Iterable[str]) -> None:
    """Waits for all who are about to name one of them; nobody names one until this transaction ends.

    Call it before asking whether they are used.
    """
    _lock(session, names, func.pg_advisory_xact_lock)


def lock_alone(session: Session, name: str) -> None:
    """Waits for all who make, move or take away what has this name; they wait until this transaction ends.

    A row lock does not do: of what is not there yet, there is no row. Call it before asking whether it is there.
    """
    _lock(session, [name], func.pg_advisory_xact_lock)


def names_in(config: BaseModel) -> set[str]:
    """What a configuration names: runs as run:<id>, sets by their hashes, and models from outside."""
    return set(_names("", config.model_dump(mode="json")))


def _names(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _names(name, each)
    elif isinstance(value, list):
        for each in value:
            yield from _names(key, each)
    elif isinstance(value, str) and value:
        if match := _RUN.fullmatch(value):
            yield match[1].lower()
        elif key in _NAMING or _SHA256.fullmatch(value):
            yield value


def _lock(session: Session, names: Iterable[str], how: Callable[[int], Any]) -> None:
    # In one order for all, so that two who want the same things never wait for each other.
    for key in sorted({_key(name) for name in names}):
        session.execute(select(how(key)))


def _key(name: str) -> int:
    """Postgres' locks have numbers of 64 bits; two names of one number would wait for each other, and no more."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
