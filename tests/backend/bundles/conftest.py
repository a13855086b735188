"""A tiny run that was truly performed, and its bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.models import RunRow
from backend.settings import Settings
from worker.runner import Runner

TINY = {
    "policy": {"num_threads": 1, "device": "cpu"},
    "num_steps": 2,
    "rollout": {"num_prompts": 1, "group_size": 2},
    "rewards": ({"name": "jpeg_size"},),
    "sampling": {"num_unmasking_steps": 2},
    "evaluation_sampling": {"num_unmasking_steps": 2},
    "grpo": {"transition": "candidate_2"},
    "checkpoints": {"every_num_steps": 1},
    "probe": {"num_prompts": 6, "every_num_steps": 1},
}


@pytest.fixture
def performed(
    sessions: sessionmaker[Session], settings: Settings, make_run: Callable[..., RunRow]
) -> Callable[..., RunRow]:
    """Makes a run and performs it to its end."""

    def perform(**changes: object) -> RunRow:
        row = make_run(**(TINY | changes))
        Runner(sessions, settings, "w").execute(row.id)
        return row

    return perform


@pytest.fixture
def fetch(api: TestClient, tmp_path: Path) -> Callable[..., Path]:
    """Fetches a run's bundle into a file."""

    def fetch_bundle(row: RunRow, **params: object) -> Path:
        answer = api.get(f"/api/v1/runs/{row.id}/bundle", params={k: str(v) for k, v in params.items()})
        assert answer.is_success, answer.text
        path = tmp_path / f"{row.id}.zip"
        path.write_bytes(answer.content)
        return path

    return fetch_bundle
