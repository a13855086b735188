"""What answers, and whether everything that it needs is there."""

from __future__ import annotations

import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import UnavailableError
from backend.schemas.base import FieldProblem
from backend.schemas.run import Readiness, Version


def get_version() -> Version:
    """What answers."""
    try:
        number = version("unmask-studio")
    except PackageNotFoundError:
        number = "unknown"
    return Version(name="unmask-studio", version=number, api="v1", python=platform.python_version())


def check_readiness(sessions: sessionmaker[Session], data_dir: Path) -> Readiness:
    """Whether database, migrations and storage are there.

    Raises:
        UnavailableError: with one problem for each that is not.
    """
    checks = {"database": _check_database(sessions), "storage": _check_storage(data_dir)}
    missing = tuple(FieldProblem(pointer=f"/{name}", message=what) for name, what in checks.items() if what != "ok")
    if missing:
        raise UnavailableError("; ".join(f"{each.pointer[1:]}: {each.message}" for each in missing), missing)
    return Readiness(is_ready=True, checks=checks)


def _check_database(sessions: sessionmaker[Session]) -> str:
    # Alembic takes as long to import as a tenth of the whole app, and only this question needs it.
    from migrations import current_revision, newest_revision  # noqa: PLC0415

    try:
        with sessions() as session:
            session.execute(text("SELECT 1"))
            current = current_revision(session.connection())
    except SQLAlchemyError as error:
        return f"does not answer ({type(error).__name__})"
    newest = newest_revision()
    return "ok" if current == newest else f"is at revision {current}, needs {newest}: run `unmask migrate`"


def _check_storage(data_dir: Path) -> str:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix=".writable.", dir=data_dir)
        os.close(descriptor)
        Path(path).unlink()
    except OSError as error:
        return f"cannot be written: {error}"
    return "ok"
