"""Models that runs can start from, and whether everything that the studio needs is there."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.catalogue import repository
from backend.catalogue.weights import count_parameters
from backend.dependencies import encode_cursor
from backend.errors import UnavailableError
from backend.models import CheckpointRow, RunRow
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.base import FieldProblem, Page
from backend.schemas.every_run import RunKind
from backend.schemas.run import Model, Readiness, Version


@cache
def shipped_model() -> Model:
    """The policy that comes with the studio."""
    return Model(
        source="shipped",
        name="Tiny Show-o",
        run_id=None,
        step=None,
        num_parameters=count_parameters(SHIPPED_POLICY),
        created_at=None,
        description="The small Show-o inside: 64 x 64 pictures of the small world, good but imperfect",
    )


def get_version() -> Version:
    """What answers."""
    try:
        number = version("unmask-studio")
    except PackageNotFoundError:
        number = "unknown"
    return Version(name="unmask-studio", version=number, api="v1", python=platform.python_version())


def list_models(session: Session, runs_dir: Path, *, limit: int, after: tuple[datetime, UUID] | None) -> Page[Model]:
    """The shipped policy, then those of runs, a page being `limit` runs with all of their checkpoints."""
    found = repository.list_trained(session, limit=limit + 1, after=after)
    runs = list({row.id: row for row, _ in found}.values())
    has_more, shown = len(runs) > limit, runs[:limit]
    models = [shipped_model()] if after is None else []
    for run in shown:
        checkpoints = [checkpoint for row, checkpoint in found if row.id == run.id]
        models += _models_of(run, [each for each in checkpoints if _has_policy(run, each)], runs_dir)
    cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].id) if has_more else None
    return Page(data=models, has_more=has_more, next_cursor=cursor)


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


def _has_policy(run: RunRow, checkpoint: CheckpointRow) -> bool:
    """False while a pretrain run is in its first stage, when there is only a tokenizer, and where it makes a CLIP."""
    if run.kind == RunKind.PRETRAIN and run.config.get("clip"):
        return False
    return run.kind != RunKind.PRETRAIN or checkpoint.step > int(run.config["tokenizer"]["num_steps"])


def _models_of(run: RunRow, checkpoints: Sequence[CheckpointRow], runs_dir: Path) -> list[Model]:
    folder = run_folder(runs_dir, run.id)
    counts = (count_parameters(folder.path(f"{each.path}/policy")) for each in checkpoints)
    # A run's policy keeps its shape, so one of its checkpoints says it for all.
    num_parameters = next((count for count in counts if count is not None), None)
    return [
        Model(
            source=f"run:{run.id}@{checkpoint.step}",
            name=f"{run.name}, step {checkpoint.step}",
            run_id=run.id,
            step=checkpoint.step,
            num_parameters=num_parameters,
            created_at=checkpoint.created_at,
            description=f"Checkpoint of a {run.kind} run that is {run.status}, {checkpoint.num_bytes / 2**20:.1f} MiB",
        )
        for checkpoint in checkpoints
    ]


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
