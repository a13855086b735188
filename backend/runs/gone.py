"""Refuses models of runs that never were, make no such model, or ended without it: the job would find nothing.

A run that has not ended may still make what is named. What lies in a run's folder without a row is the job's matter:
`python -m worker` writes such runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import CheckpointRow, RunRow
from backend.reward_reports import learned_folder
from backend.runs.policies import RUN_SOURCE
from backend.schemas.base import FieldProblem
from backend.schemas.every_run import RunKind

_CURE = "take one of GET /api/v1/models"
_PREFIX = "run:"
# Kinds whose policy section says where to work, and names nothing that is loaded.
_WITHOUT_POLICY = (RunKind.PRETRAIN, RunKind.REWARD_MODEL)
_WITHOUT_MODEL = (RunKind.SAMPLE, RunKind.EVALUATE)


def refuse_gone(session: Session, config: BaseModel, runs_dir: Path) -> None:
    """Refuses a configuration that names a run's model which is not there and never will be.

    Raises:
        MalformedError: with a problem for each.
    """
    problems = []
    for pointer, source in _run_sources("/config", config.model_dump(mode="json")):
        if pointer == "/config/policy/source" and getattr(config, "kind", None) in _WITHOUT_POLICY:
            continue
        if reason := _why_gone(session, source, runs_dir, is_reward=_is_reward(pointer)):
            problems.append(FieldProblem(pointer=pointer, message=f"{reason}: {_CURE}"))
    if problems:
        raise MalformedError("; ".join(problem.message for problem in problems), tuple(problems))


def _run_sources(pointer: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _run_sources(f"{pointer}/{key}", each)
    elif isinstance(value, str) and pointer.endswith(("/source", "/base")) and value.startswith(_PREFIX):
        yield pointer, value


def _is_reward(pointer: str) -> bool:
    """Whether a reward model belongs there: in a reward, or as the CLIP that a reward model begins with."""
    return pointer.startswith("/config/rewards/") or pointer == "/config/base"


def _why_gone(session: Session, source: str, runs_dir: Path, *, is_reward: bool) -> str | None:
    match = RUN_SOURCE.fullmatch(source)
    if match is None:
        return f"{source!r} is no model: write run:<id> or run:<id>@<step>"
    row, step = _row_of(session, match["run"]), None if match["step"] is None else int(match["step"])
    if row is None:
        is_here = (runs_dir / match["run"]).is_dir()
        return None if is_here else f"there is no run {match['run']}, which {source!r} names"
    if row.kind in _WITHOUT_MODEL:
        return f"run {row.id} is of kind {row.kind}, which makes no model"
    if is_reward != (row.kind == RunKind.REWARD_MODEL):
        wanted = "reward model" if is_reward else "policy"
        return f"run {row.id} is of kind {row.kind}, and here a {wanted} is wanted"
    if step is not None:
        return _why_without_checkpoint(session, row, source, step)
    return _gone(source) if row.run_status.is_terminal and not _has_export(row, source, runs_dir) else None


def _row_of(session: Session, name: str) -> RunRow | None:
    try:
        return session.get(RunRow, UUID(name), populate_existing=True)
    except ValueError:
        return None


def _why_without_checkpoint(session: Session, row: RunRow, source: str, step: int) -> str | None:
    query = select(CheckpointRow.step).where(CheckpointRow.run_id == row.id).order_by(CheckpointRow.step)
    steps = session.scalars(query).all()
    if step in steps:
        return None
    if row.run_status.is_terminal:
        kept = f"; it kept those of steps {', '.join(map(str, steps))}" if steps else ""
        return f"{_gone(source)}{kept}"
    # It counts from 1 to its last step; a step that it has passed is saved by now, or never.
    last = row.num_steps or int(row.config.get("num_steps", 0))
    if step < row.step or 0 < last < step:
        place = f"it is at step {row.step} of {last or '?'}"
        return f"run {row.id} has no checkpoint of step {step} and will make none: {place}"
    return None


def _gone(source: str) -> str:
    return f"model {source!r} is not there (any more), and its run has ended"


def _has_export(row: RunRow, source: str, runs_dir: Path) -> bool:
    if row.kind == RunKind.REWARD_MODEL:
        return learned_folder(source, runs_dir).is_dir()
    exports = runs_dir / str(row.id) / "exports"
    return any((exports / name).is_dir() for name in ("policy", "adapter"))
