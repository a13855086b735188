"""A group whose files are there, as a job writes them; and a shell that speaks to the API over HTTP."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import RunFolder, run_folder
from backend.db import transaction
from backend.models import RunRow
from backend.samples import repository as samples
from backend.schemas.sample import GroupRecord
from tests.backend.shell import Shell

Sessions = sessionmaker[Session]
MakeRun = Callable[..., RunRow]
MakeGroup = Callable[..., GroupRecord]

SIDE = 8
NUM_STEPS = 3


def png(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def write_files(folder: RunFolder, group: GroupRecord) -> None:
    """Files as a job writes them: 2 samples, 2 x 2 tokens, 3 steps; frame t is filled with 10 t."""
    for sample in group.samples:
        folder.write(sample.image_path, png(np.full((SIDE, SIDE, 3), 99)))
        frames = [np.full((SIDE, SIDE, 3), 10 * step) for step in range(NUM_STEPS)]
        folder.write(sample.image_path.replace("samples", "frames"), png(np.concatenate(frames, axis=1)))
    unmasked_at = np.array([[0, 1, 1, 2], [2, 2, 0, 1]], dtype=np.int16)
    confidence = np.full((NUM_STEPS, 2, 4), 0.5, dtype=np.float16)
    confidence[1, 0] = [np.nan, 0.25, 0.75, 0.5]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        codes=np.array([[5, 6, 7, 8], [1, 2, 3, 4]], dtype=np.int16),
        unmasked_at=unmasked_at,
        drawn=np.zeros((NUM_STEPS, 2, 4), dtype=np.int16),
        confidence=confidence,
        entropy=np.full((NUM_STEPS, 2, 4), 1.5, dtype=np.float16),
        log_prob=np.array([[-1.0, -2.0], [-3.0, -np.inf], [-5.0, -6.0]], dtype=np.float32),
        grid=np.array([2, 2], dtype=np.int32),
        codebook_size=np.array(1024, dtype=np.int32),
        transition=np.array("candidate_2"),
    )
    assert group.trajectory_path is not None
    folder.write(group.trajectory_path, buffer.getvalue())


@pytest.fixture
def add(sessions: Sessions) -> Callable[..., None]:
    def add_groups(run_id: UUID, *groups: GroupRecord, purpose: str = "train") -> None:
        with transaction(sessions) as session:
            samples.add_groups(session, run_id=run_id, purpose=purpose, groups=groups)

    return add_groups


@pytest.fixture
def sample_url(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None], tmp_path: Path
) -> str:
    """The first sample, by place, of a group whose files are there."""
    run_id = make_run(worker="w").id
    add(run_id, make_group())
    write_files(run_folder(tmp_path / "runs", run_id), make_group())
    group = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"][0]
    first = next(sample for sample in group["samples"] if sample["index"] == 0)
    return f"/api/v1/samples/{first['id']}"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("UNMASK_URL", "http://127.0.0.1:9")
    return Shell(monkeypatch, capsys)


@pytest.fixture
def studio(app: FastAPI, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The API on a port of this machine, which the shell's commands speak to."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("UNMASK_URL", url)
    yield url
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()
