"""Puts models together: shipped, imported, and what runs made, each with its size and its aliases."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend.artifacts import run_folder
from backend.dependencies import encode_cursor
from backend.errors import ConflictError, MalformedError, NotFoundError
from backend.models import CheckpointRow, ImportedModelRow, RunRow
from backend.naming_locks import lock_alone
from backend.registry import repository
from backend.registry.refs import SHIPPED, ModelRef, exports_of, model_folder, read_ref
from backend.registry.weights import count_parameters
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.base import FieldProblem, Page
from backend.schemas.every_run import RunKind
from backend.schemas.registry import Model, ModelImport, ModelKind
from backend.schemas.run import RunStatus

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@cache
def shipped_model() -> Model:
    """The policy that comes with the studio."""
    return Model(
        source=SHIPPED,
        kind=ModelKind.BASE,
        name="Tiny Show-o",
        run_id=None,
        step=None,
        num_parameters=count_parameters(SHIPPED_POLICY),
        num_bytes=size_of(SHIPPED_POLICY),
        created_at=None,
        description="The small Show-o inside: 64 x 64 pictures of the small world, good but imperfect",
    )


def list_models(
    session: Session,
    runs_dir: Path,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None,
    kinds: Collection[ModelKind] = (),
) -> Page[Model]:
    """Shipped and imported models, then those of runs, a page being `limit` runs with all that each made."""
    found = repository.list_makers(session, limit=limit + 1, after=after)
    has_more, shown = len(found) > limit, found[:limit]
    models: list[Model] = []
    if after is None:
        models += [shipped_model(), *map(_imported, repository.list_imported(session))]
    for run, checkpoints in shown:
        models += _models_of(run, [each for each in checkpoints if _has_policy(run, each)], runs_dir)
    names = repository.aliases_of(session, targets=[model.source for model in models])
    told = [
        model.model_copy(update={"aliases": names.get(model.source, ())})
        for model in models
        if not kinds or model.kind in kinds
    ]
    last = shown[-1][0] if has_more else None
    cursor = None if last is None else encode_cursor(last.created_at.isoformat(), last.id)
    return Page(data=told, has_more=has_more, next_cursor=cursor)


def get_model(session: Session, runs_dir: Path, ref: ModelRef) -> Model:
    """One model.

    Raises:
        NotFoundError: when there is none of that ref.
    """
    model = _find(session, runs_dir, ref)
    if model is None:
        raise NotFoundError(f"there is no model {ref.text!r}: list the models with GET /api/v1/models")
    names = repository.aliases_of(session, targets=[model.source])
    return model.model_copy(update={"aliases": names.get(model.source, ())})


def import_model(session: Session, wanted: ModelImport) -> Model:
    """Enters a model from outside; nothing is copied.

    Raises:
        MalformedError: when the source is neither a policy's folder nor a hub name.
        ConflictError: when it is entered already.
    """
    ref = read_ref(wanted.source)
    if ref.run_id is not None or ref.text == SHIPPED:
        raise MalformedError(f"{wanted.source!r} is here already: what runs make needs no import")
    folder = model_folder(ref, Path())
    is_folder = (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file()
    if not is_folder and not _HUB_NAME.fullmatch(ref.text):
        text = f"{wanted.source!r} is no folder with a config.json on the server, and no hub name as owner/name"
        raise MalformedError(text, (FieldProblem(pointer="/source", message=text),))
    lock_alone(session, ref.locked_as)
    if repository.find_imported(session, source=ref.text) is not None:
        raise ConflictError(f"{wanted.source!r} is entered already: delete it first, or use it as it is")
    row = ImportedModelRow(source=ref.text, name=wanted.name or Path(ref.text).name, note=wanted.note)
    session.add(row)
    session.flush()
    session.refresh(row)
    return _imported(row)


def size_of(folder: Path) -> int | None:
    """Bytes of all files in a folder; None where it is not there."""
    if not folder.is_dir():
        return None
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _find(session: Session, runs_dir: Path, ref: ModelRef) -> Model | None:
    if ref.text == SHIPPED:
        return shipped_model()
    if ref.run_id is None:
        row = repository.find_imported(session, source=ref.text)
        return None if row is None else _imported(row)
    run = repository.find_run(session, run_id=ref.run_id)
    if run is None:
        return None
    if ref.step is None:
        return next((each for each in _exports(run, runs_dir) if each.source == ref.text), None)
    checkpoint = repository.get_checkpoint(session, run_id=run.id, step=ref.step)
    if checkpoint is None or not _has_policy(run, checkpoint):
        return None
    return _checkpoint(run, checkpoint, count_parameters(model_folder(ref, runs_dir)))


def _has_policy(run: RunRow, checkpoint: CheckpointRow) -> bool:
    """False while a pretrain run is in its first stage, when there is only a tokenizer, and where it makes a CLIP."""
    if run.kind == RunKind.TRAIN:
        return True
    if run.kind != RunKind.PRETRAIN or run.config.get("clip"):
        return False
    return checkpoint.step > int(run.config["tokenizer"]["num_steps"])


def _models_of(run: RunRow, checkpoints: list[CheckpointRow], runs_dir: Path) -> Iterator[Model]:
    yield from _exports(run, runs_dir)
    folder = run_folder(runs_dir, run.id)
    counts = (count_parameters(folder.path(f"checkpoints/{each.step:06d}/policy")) for each in checkpoints)
    # A run's policy keeps its shape, so one of its checkpoints says it for all.
    num_parameters = next((count for count in counts if count is not None), None)
    for checkpoint in checkpoints:
        yield _checkpoint(run, checkpoint, num_parameters)


def _exports(run: RunRow, runs_dir: Path) -> Iterator[Model]:
    folders = exports_of(run_folder(runs_dir, run.id)) if run.status == RunStatus.SUCCEEDED else []
    if not folders:
        return
    is_reward = run.kind == repository.REWARD_MODEL
    yield Model(
        source=f"run:{run.id}",
        kind=ModelKind.REWARD_MODEL if is_reward else ModelKind.EXPORT,
        name=f"{run.name}, {'reward model' if is_reward else 'final'}",
        run_id=run.id,
        step=None,
        num_parameters=count_parameters(folders[0]),
        num_bytes=sum(size_of(folder) or 0 for folder in folders),
        created_at=run.finished_at,
        description="Learned from votes" if is_reward else f"What a {run.kind} run exported at its end",
    )


def _checkpoint(run: RunRow, checkpoint: CheckpointRow, num_parameters: int | None) -> Model:
    return Model(
        source=f"run:{run.id}@{checkpoint.step}",
        kind=ModelKind.CHECKPOINT,
        name=f"{run.name}, step {checkpoint.step}",
        run_id=run.id,
        step=checkpoint.step,
        num_parameters=num_parameters,
        num_bytes=checkpoint.num_bytes,
        created_at=checkpoint.created_at,
        description=f"Checkpoint of a {run.kind} run that is {run.status}, {checkpoint.num_bytes / 2**20:.1f} MiB",
    )


def _imported(row: ImportedModelRow) -> Model:
    folder = Path(row.source).expanduser()
    is_here = folder.is_dir()
    return Model(
        source=row.source,
        kind=ModelKind.IMPORTED,
        name=row.name,
        run_id=None,
        step=None,
        num_parameters=count_parameters(folder) if is_here else None,
        num_bytes=size_of(folder),
        created_at=row.created_at,
        description=row.note or ("A folder of the server" if is_here else "A hub name, or a folder that is not there"),
    )
