"""Refuses models of runs that have ended without them, or whose models were deleted since: the job would find nothing.

A run that has not ended may still make what is named. What no run here made is the job's matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import CheckpointRow, RunRow
from backend.reward_reports import learned_folder
from backend.runs.policies import RUN_SOURCE
from backend.schemas.base import FieldProblem
from backend.schemas.every_run import RunKind


def refuse_gone(session: Session, config: BaseModel, runs_dir: Path) -> None:
    """Refuses a configuration that names a model which is not there and never will be.

    Raises:
        MalformedError: with a problem for each.
    """
    problems = []
    for pointer, source in _run_sources("/config", config.model_dump(mode="json")):
        if _is_gone(session, source, runs_dir):
            text = f"model {source!r} is not there (any more), and its run has ended: take one of GET /api/v1/models"
            problems.append(FieldProblem(pointer=pointer, message=text))
    if problems:
        raise MalformedError("; ".join(problem.message for problem in problems), tuple(problems))


def _run_sources(pointer: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _run_sources(f"{pointer}/{key}", each)
    elif isinstance(value, str) and pointer.endswith(("/source", "/base")) and RUN_SOURCE.fullmatch(value):
        yield pointer, value


def _is_gone(session: Session, source: str, runs_dir: Path) -> bool:
    match = RUN_SOURCE.fullmatch(source)
    assert match is not None, "only a run's models are asked for"
    try:
        row = session.get(RunRow, UUID(match["run"]), populate_existing=True)
    except ValueError:
        return False
    if row is None or not row.run_status.is_terminal:
        return False
    if match["step"] is not None:
        return session.get(CheckpointRow, (row.id, int(match["step"])), populate_existing=True) is None
    if row.kind == RunKind.REWARD_MODEL:
        return not learned_folder(source, runs_dir).is_dir()
    exports = runs_dir / str(row.id) / "exports"
    return not any((exports / name).is_dir() for name in ("policy", "adapter"))
