"""An evaluation with pictures on disk, a label task on it, and raters with their links."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient

from backend.artifacts import run_folder
from backend.schemas.sample import GroupRecord
from tests.backend.conftest import png

TASKS, DOOR = "/api/v1/label-tasks", "/api/v1/rating"
NUM_PROMPTS = 4
MakeTask = Callable[..., dict[str, Any]]
MakeRater = Callable[..., dict[str, str]]


def pictured(group: GroupRecord, folder: Path, shade: int, rewards: tuple[float, ...]) -> GroupRecord:
    """The group with pictures of its own on disk."""
    samples = []
    for sample, reward in zip(group.samples, rewards, strict=True):
        content = png(np.full((8, 8, 3), shade + 10 * group.index + sample.index))
        path = f"samples/{group.step:06d}-{group.policy}/{group.index:03d}-{sample.index:02d}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        changes = {"image_path": path, "image_sha256": hashlib.sha256(content).hexdigest(), "reward": reward}
        samples.append(sample.model_copy(update=changes))
    return group.model_copy(update={"samples": tuple(samples)})


@pytest.fixture
def evaluation(
    api: TestClient, add: Callable[..., None], make_group: Callable[..., GroupRecord], tmp_path: Path
) -> str:
    """An evaluate run's id: four prompts of two seeds by base and policy; the policy's first pictures are better."""
    config = {"kind": "evaluate", "base": {"source": "shipped"}, "num_prompts": 6, "name": "the-secret-run"}
    run_id = api.post("/api/v1/runs", json={"config": config}).json()["id"]
    folder = run_folder(tmp_path / "runs", UUID(run_id)).root
    for policy, shade, rewards in (("base", 0, (0.0, 0.5)), ("policy", 100, (1.0, 0.5))):
        groups = [make_group(index=index, policy=policy, prompt=f"prompt {index}") for index in range(NUM_PROMPTS)]
        add(UUID(run_id), *(pictured(group, folder, shade, rewards) for group in groups), purpose="evaluate")
    return run_id


@pytest.fixture
def make_task(api: TestClient, evaluation: str) -> MakeTask:
    """Makes a label task of the evaluation; what is given is changed."""

    def make(**changes: Any) -> dict[str, Any]:
        source = {"kind": "evaluation", "run_id": evaluation}
        answer = api.post(TASKS, json={"name": "Base or tuned?", "source": source} | changes)
        assert answer.status_code == 201, answer.text
        task: dict[str, Any] = answer.json()
        return task

    return make


@pytest.fixture
def make_rater(api: TestClient) -> MakeRater:
    """Makes a rater; gives the header that opens its door."""

    def make(task: dict[str, Any], label: str = "Ada", *, is_simulated: bool = False) -> dict[str, str]:
        body = {"label": label, "is_simulated": is_simulated}
        token = api.post(f"{TASKS}/{task['id']}/raters", json=body).json()["token"]
        return {"Authorization": f"Bearer {token}"}

    return make
