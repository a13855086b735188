"""Deleting models: what is used is refused by name, and no other file than the model's own is touched."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.artifacts import run_folder
from backend.db import after_commit
from backend.errors import ConflictError
from backend.models import CheckpointRow, RunRow
from backend.naming_locks import lock_for_deletion
from backend.registry import repository, service
from backend.registry.refs import SHIPPED, ModelRef, exports_of
from backend.runs import repository as runs
from backend.schemas.base import FieldProblem
from backend.schemas.registry import ModelUser

MAX_USERS = 100

log = logging.getLogger(__name__)


def users_of(session: Session, ref: ModelRef) -> list[ModelUser]:
    """Everything that refers to a model: aliases, then runs and label tasks, at most `MAX_USERS` of each."""
    names = repository.aliases_of(session, targets=[ref.text]).get(ref.text, ())
    users = [ModelUser(kind="alias", id=name, name=name) for name in names]
    users += [
        ModelUser(kind=row.kind, id=str(row.id), name=row.name)
        for row in repository.runs_naming(session, ref=ref, limit=MAX_USERS)
    ]
    return users + _label_tasks(session, ref)


def _label_tasks(session: Session, ref: ModelRef) -> list[ModelUser]:
    """Tasks in which people judge this model: those on two checkpoints, unless they name others, and on two runs.

    An evaluation that a task is made of is a user of the model itself.
    """
    if ref.run_id is None:
        return []
    found = repository.label_tasks_of_run(session, run_id=ref.run_id, limit=MAX_USERS)
    return [
        ModelUser(kind="label_task", id=str(row.id), name=row.name)
        for row in found
        if row.source["kind"] in ("checkpoints", "runs") and ref.step in (row.source.get("steps") or [ref.step])
    ]


def delete_model(session: Session, runs_dir: Path, ref: ModelRef) -> None:
    """Deletes a checkpoint, an export, or the entry of an imported model, whose files stay.

    Raises:
        NotFoundError: when there is no such model.
        ConflictError: when it is shipped, used, or what its run resumes from; `errors` names each user.
    """
    lock_for_deletion(session, [ref.locked_as])
    row = None if ref.run_id is None else runs.lock_run(session, run_id=ref.run_id)
    service.get_model(session, runs_dir, ref)
    if ref.text == SHIPPED:
        raise ConflictError("the shipped model is a part of the studio and cannot be deleted")
    if row is not None and not row.run_status.is_terminal:
        raise ConflictError(f"run {row.id} is {row.status}: it goes on from its checkpoints; cancel it first")
    _refuse_used(ref, users_of(session, ref))
    if row is None:
        session.delete(repository.find_imported(session, source=ref.text))
        return
    folders = _folders(ref, row, runs_dir)
    if ref.step is None:
        # An export is known by its folder alone: out of sight before whoever waits looks for it.
        aside = _set_aside(folders)
        after_commit(session, lambda _: _remove(aside))
        return
    session.execute(delete(CheckpointRow).where(CheckpointRow.run_id == row.id, CheckpointRow.step == ref.step))
    after_commit(session, lambda _: _remove(_set_aside(folders)))


def _refuse_used(ref: ModelRef, users: Sequence[ModelUser]) -> None:
    if not users:
        return
    told = tuple(FieldProblem(pointer=f"/{user.kind}/{user.id}", message=user.name) for user in users)
    words = ", ".join(f"{user.kind.replace('_', ' ')} {user.name!r}" for user in users[:5])
    more = f" and {len(users) - 5} more" if len(users) > 5 else ""
    kinds = {user.kind for user in users}
    cures = [
        *(["move the aliases first"] if "alias" in kinds else []),
        *(["what label tasks ask about stays"] if "label_task" in kinds else []),
        *(["what runs name stays, as long as they are there"] if kinds - {"alias", "label_task"} else []),
    ]
    raise ConflictError(f"model {ref.text!r} is used by {words}{more}: {'; '.join(cures)}", told)


def _folders(ref: ModelRef, row: RunRow, runs_dir: Path) -> list[Path]:
    """The folders that hold the model and nothing else; told from its number, never from a path that was stored."""
    folder = run_folder(runs_dir, row.id)
    found = exports_of(folder) if ref.step is None else [folder.path(f"checkpoints/{ref.step:06d}")]
    for path in found:
        if path.is_symlink() or not path.resolve().is_relative_to(folder.root.resolve()):
            raise ConflictError(f"{path} leads out of its run's folder, so nothing is deleted: look at it yourself")
    return found


def _set_aside(folders: Sequence[Path]) -> list[Path]:
    """Renames first, so that a crash leaves nothing that looks like a model."""
    found = []
    for folder in folders:
        aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
        with suppress(FileNotFoundError):
            folder.rename(aside)
            found.append(aside)
            log.info("deleted %s", folder)
    return found


def _remove(aside: Sequence[Path]) -> None:
    for folder in aside:
        shutil.rmtree(folder, ignore_errors=True)
