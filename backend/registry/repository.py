"""All SQL on models: runs that made one, who refers to one, aliases with their moves, imports."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, or_, select, tuple_
from sqlalchemy.orm import Session

from backend.models import (
    AliasMoveRow,
    AliasRow,
    CheckpointRow,
    ImportedModelRow,
    LabelTaskRow,
    PromptSetRow,
    PromptSetVersionRow,
    RunRow,
)
from backend.registry.refs import ModelRef, read_ref
from backend.schemas.every_run import RunKind
from backend.schemas.run import RunStatus

REWARD_MODEL = "reward_model"
MAKERS = (RunKind.TRAIN.value, RunKind.PRETRAIN.value, REWARD_MODEL)


def list_makers(
    session: Session, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[tuple[RunRow, Sequence[CheckpointRow]]]:
    """The newest `limit` runs that made a model, each with its checkpoints, the newest first."""
    has_checkpoint = select(CheckpointRow).where(CheckpointRow.run_id == RunRow.id).exists()
    is_done = RunRow.status == RunStatus.SUCCEEDED.value
    query = (
        select(RunRow)
        .where(RunRow.kind.in_(MAKERS), has_checkpoint | is_done)
        .order_by(RunRow.created_at.desc(), RunRow.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(RunRow.created_at, RunRow.id) < after)
    runs = session.scalars(query).all()
    of_run: dict[UUID, list[CheckpointRow]] = {row.id: [] for row in runs}
    checkpoints = select(CheckpointRow).where(CheckpointRow.run_id.in_(of_run)).order_by(CheckpointRow.step.desc())
    for checkpoint in session.scalars(checkpoints):
        of_run[checkpoint.run_id].append(checkpoint)
    return [(row, of_run[row.id]) for row in runs]


def get_checkpoint(session: Session, *, run_id: UUID, step: int) -> CheckpointRow | None:
    """The row of a checkpoint."""
    return session.get(CheckpointRow, (run_id, step), populate_existing=True)


def runs_naming(session: Session, *, ref: ModelRef, kinds: Collection[str] = (), limit: int) -> Sequence[RunRow]:
    """Runs whose configuration names exactly this model, wherever in it, the oldest first."""
    query = select(RunRow).where(_names(_pattern(ref)))
    if kinds:
        query = query.where(RunRow.kind.in_(kinds))
    return session.scalars(query.order_by(RunRow.created_at, RunRow.id).limit(limit)).all()


def makers_naming_run(session: Session, *, run_id: UUID, limit: int) -> Sequence[RunRow]:
    """Runs that make a model and name any model of this run, the oldest first."""
    pattern = f'"run:{run_id}(@[0-9]+)?"'
    query = select(RunRow).where(RunRow.kind.in_(MAKERS), _names(pattern), RunRow.id != run_id)
    return session.scalars(query.order_by(RunRow.created_at, RunRow.id).limit(limit)).all()


def label_tasks_of_run(session: Session, *, run_id: UUID, limit: int) -> Sequence[LabelTaskRow]:
    """Label tasks whose pairs are made of a run's own pictures, the oldest first."""
    names = (LabelTaskRow.source[name].astext == str(run_id) for name in ("run_id", "other_run_id"))
    query = select(LabelTaskRow).where(or_(*names)).order_by(LabelTaskRow.created_at, LabelTaskRow.id).limit(limit)
    return session.scalars(query).all()


def find_prompt_set(session: Session, *, sha256: str) -> tuple[str, int] | None:
    """The name and the version of the prompt set with these contents; of several the newest."""
    query = (
        select(PromptSetRow.name, PromptSetVersionRow.version)
        .join(PromptSetVersionRow, PromptSetVersionRow.prompt_set_id == PromptSetRow.id)
        .where(PromptSetVersionRow.sha256 == sha256)
        .order_by(PromptSetVersionRow.created_at.desc())
    )
    row = session.execute(query.limit(1)).first()
    return None if row is None else (row[0], row[1])


def find_run(session: Session, *, run_id: UUID) -> RunRow | None:
    """The run's row, where there is one."""
    return session.get(RunRow, run_id)


def find_alias(session: Session, *, name: str, is_locked: bool = False) -> AliasRow | None:
    """The alias's row, held against every other mover until the transaction ends where that is asked."""
    return session.get(AliasRow, name, populate_existing=True, with_for_update=is_locked or None)


def list_aliases(session: Session, *, limit: int, after: str | None = None) -> Sequence[AliasRow]:
    """Aliases by name."""
    query = select(AliasRow).order_by(AliasRow.name).limit(limit)
    return session.scalars(query if after is None else query.where(AliasRow.name > after)).all()


def aliases_of(session: Session, *, targets: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The names that mean each of these models."""
    found: dict[str, list[str]] = {}
    query = select(AliasRow.target, AliasRow.name).where(AliasRow.target.in_(targets)).order_by(AliasRow.name)
    for target, name in session.execute(query):
        found.setdefault(target, []).append(name)
    return {target: tuple(names) for target, names in found.items()}


def reward_models_among(session: Session, *, targets: Collection[str]) -> frozenset[str]:
    """Those of the refs that name a reward model's run."""
    runs = {each: run_id for each in targets if (run_id := read_ref(each).run_id) is not None}
    query = select(RunRow.id).where(RunRow.id.in_(runs.values()), RunRow.kind == REWARD_MODEL)
    found = set(session.scalars(query)) if runs else set()
    return frozenset(each for each, run_id in runs.items() if run_id in found)


def aliases_of_run(session: Session, *, run_id: UUID) -> tuple[str, ...]:
    """The names that mean any model of a run."""
    means_run = or_(AliasRow.target == f"run:{run_id}", AliasRow.target.startswith(f"run:{run_id}@", autoescape=True))
    return tuple(session.scalars(select(AliasRow.name).where(means_run).order_by(AliasRow.name)))


def list_moves(session: Session, *, name: str, limit: int, before: UUID | None = None) -> Sequence[AliasMoveRow]:
    """The moves of a name, the newest first."""
    query = select(AliasMoveRow).where(AliasMoveRow.name == name).order_by(AliasMoveRow.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(AliasMoveRow.id < before)).all()


def last_revision(session: Session, *, name: str) -> int:
    """The number of the name's last move; 0 where it never was."""
    return session.scalar(select(func.max(AliasMoveRow.revision)).where(AliasMoveRow.name == name)) or 0


def list_imported(session: Session) -> Sequence[ImportedModelRow]:
    """All models from outside, the newest first."""
    return session.scalars(select(ImportedModelRow).order_by(ImportedModelRow.id.desc())).all()


def find_imported(session: Session, *, source: str) -> ImportedModelRow | None:
    """The row of a model from outside."""
    return session.scalars(select(ImportedModelRow).where(ImportedModelRow.source == source)).one_or_none()


def _names(pattern: str) -> Any:
    return cast(RunRow.config, Text).regexp_match(pattern)


def _pattern(ref: ModelRef) -> str:
    """What finds the ref as a whole JSON string; a step may be written with zeros before it."""
    if ref.step is not None:
        return f'"{ref.run_text}@0*{ref.step}"'
    return f'"{re.escape(ref.text)}"'
