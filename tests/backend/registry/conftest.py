"""Runs that have made models, with files as small as they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.samples import repository as samples
from backend.schemas.event import CheckpointSaved
from backend.schemas.reward_model import RewardModelConfig
from tests.backend.reward_models import write_reward

MakeRun = Callable[..., RunRow]


@pytest.fixture
def write_weights() -> Callable[[Path, dict[str, list[int]]], None]:
    """Writes a safetensors file of these tensors, without their numbers."""

    def write(folder: Path, shapes: dict[str, list[int]]) -> None:
        header: dict[str, object] = {name: {"dtype": "F32", "shape": shape} for name, shape in shapes.items()}
        content = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pytorch_model.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)

    return write


@pytest.fixture
def trained(
    sessions: sessionmaker[Session],
    make_run: MakeRun,
    tmp_path: Path,
    write_weights: Callable[[Path, dict[str, list[int]]], None],
) -> Callable[..., RunRow]:
    """Makes a succeeded training run with checkpoints and an export on disk."""

    def make(*, name: str = "tuned", steps: tuple[int, ...] = (10, 20), **config: object) -> RunRow:
        row = make_run(name=name, worker="w", **config)
        folder = tmp_path / "runs" / str(row.id)
        for step in steps:
            write_weights(folder / f"checkpoints/{step:06d}/policy", {"a": [3]})
        write_weights(folder / "exports/policy", {"a": [3]})
        with transaction(sessions) as session:
            for step in steps:
                saved = CheckpointSaved(step=step, sha256="s", num_bytes=5, state_hash="h", path="p")
                samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
            session.execute(update(RunRow).where(RunRow.id == row.id).values(status="succeeded"))
        return row

    return make


@pytest.fixture
def learned(sessions: sessionmaker[Session], tmp_path: Path) -> Callable[..., RunRow]:
    """Makes a succeeded run with a proven reward model on disk."""

    def make(name: str = "taste", **config: object) -> RunRow:
        with transaction(sessions) as session:
            wanted = RewardModelConfig.model_validate({"pairs": {"source": "a" * 64}} | config)
            row = runs.create_run(session, config=wanted, kind=wanted.kind, name=name, tags=())
            session.flush()
            session.execute(update(RunRow).where(RunRow.id == row.id).values(status="succeeded"))
        write_reward(tmp_path / "runs", str(row.id))
        return row

    return make


@pytest.fixture
def set_status(sessions: sessionmaker[Session]) -> Callable[[UUID, str], None]:
    """Has a run stand where a test wants it."""

    def set_to(run_id: UUID, status: str) -> None:
        with transaction(sessions) as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(status=status))

    return set_to
