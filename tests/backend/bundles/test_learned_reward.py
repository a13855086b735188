"""The bundle of a run that was trained on a reward learned from votes, and voted on: all that it was, in one file."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import sha256_of
from backend.bundles.inputs import SHIPPED_CLIP
from backend.bundles.manifest import verify
from backend.db import transaction
from backend.models import RunRow
from backend.schemas.sample import GroupRecord
from tests.backend.bundles.test_bundle import read
from tests.backend.bundles.test_replay import replayed
from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, make_rater
from tests.backend.registry.conftest import learned
from tests.backend.reward_models import report_with
from tests.backend.shell import Shell

__all__ = ["learned", "make_rater"]

Fetch = Callable[..., Path]


@pytest.fixture
def taste(learned: Callable[..., RunRow], tmp_path: Path) -> RunRow:
    """A reward model with true weights, those of the shipped CLIP, and a report of votes on a pair set."""
    row = learned()
    folder = tmp_path / "runs" / str(row.id) / "exports" / "reward"
    shutil.rmtree(folder)
    shutil.copytree(SHIPPED_CLIP, folder)
    report = report_with(weights_sha256=sha256_of(folder / "open_clip_model.safetensors"))
    (folder / "report.json").write_text(report.model_dump_json())
    return row


def vote(api: TestClient, make_rater: MakeRater, run_id: str) -> str:
    """Lets somebody vote on a pair of the run's own pictures; gives the vote's id."""
    wanted = {"name": "Which?", "source": {"kind": "within_group", "run_id": run_id}}
    task = api.post(TASKS, json=wanted).json()
    rater = make_rater(task)
    (pair, *_) = api.get(f"{DOOR}/next", params={"count": 1}, headers=rater).json()["data"]
    key = str(uuid4())
    body = {"pair_id": pair["pair_id"], "choice": "left", "latency_ms": 900}
    assert api.put(f"{DOOR}/votes/{key}", json=body, headers=rater).is_success
    return key


@pytest.mark.slow
def test_everything_that_a_run_on_a_learned_reward_was_is_in_its_bundle_and_made_again(
    api: TestClient,
    sessions: sessionmaker[Session],
    performed: Callable[..., RunRow],
    fetch: Fetch,
    shell: Shell,
    taste: RunRow,
    make_rater: MakeRater,
    tmp_path: Path,
) -> None:
    rewards = ({"name": "learned", "source": f"run:{taste.id}", "alias": "taste"}, {"name": "strict", "weight": 0})
    row = performed(num_steps=1, rewards=rewards, prompts={"texts": ("a red circle",)}, probe={"num_prompts": 0})
    key = vote(api, make_rater, str(row.id))
    path = fetch(row)
    assert verify(path) == []
    files, manifest = read(path)

    # Configuration and versions: packages of the job, and the reward by the hash of each of its files.
    assert json.loads(files["config.json"])["rewards"][0]["source"] == f"run:{taste.id}"
    versions = json.loads(files["versions.json"])
    assert {"torch", "numpy", "python", "code"} <= set(versions["job"][0]["versions"])
    (reward,) = [each for each in versions["inputs"] if each["role"] == "reward"]
    lies_in = f"inputs/runs/{taste.id}/exports/reward"
    assert reward["is_included"]
    assert reward["files"] == {
        name.removeprefix(f"{lies_in}/"): hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name.startswith(lies_in)
    }
    report = json.loads(files[f"{lies_in}/report.json"])
    assert (report["pair_set"], report["weights_sha256"]) == (
        "c" * 64,
        reward["files"]["open_clip_model.safetensors"],
    ), "which votes it learned from"

    # Prompts, seeds, rewards by part; metrics of the step; chosen samples with the picture of each hash.
    groups = [json.loads(line) for line in files["samples.jsonl"].splitlines()]
    trained = next(group for group in groups if group["purpose"] == "train")
    assert trained["prompt"] == "a red circle"
    for sample in trained["samples"]:
        assert isinstance(sample["seed"], int)
        assert set(sample["reward_breakdown"]) == {"learned", "strict"}
        assert hashlib.sha256(files[sample["image_path"]]).hexdigest() == sample["image_sha256"]
    assert "a red circle" in [json.loads(line)["text"] for line in files["prompts.jsonl"].splitlines()]
    (metrics,) = [json.loads(line) for line in files["metrics.jsonl"].splitlines()]
    assert "reward/learned" in metrics["values"]
    assert [json.loads(line)["id"] for line in files["votes.jsonl"].splitlines()] == [key]
    assert set(manifest["files"]) == set(files) - {"manifest.json"}

    # The reward's run may be gone from the studio: the bundle has all that is needed.
    with transaction(sessions) as session:
        session.execute(update(RunRow).where(RunRow.id == taste.id).values(status="failed"))
    shutil.rmtree(tmp_path / "runs")
    code, found = replayed(shell, path)
    assert (code, found["verdict"], found["missing"]) == (0, "equal", []), found


def test_the_picture_that_an_edit_begins_with_is_in_the_bundle_with_its_codes(
    api: TestClient,
    make_run: Callable[..., RunRow],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    fetch: Fetch,
    tmp_path: Path,
) -> None:
    first = tmp_path / "runs" / "first"
    for name in ("samples/000001-policy/000-01.png", "trajectories/000001-policy/000.npz"):
        (first / name).parent.mkdir(parents=True)
        (first / name).write_bytes(name.encode())
    own = tmp_path / "own.png"
    own.write_bytes(b"a picture")
    brought = tmp_path / "pictures" / f"{'5' * 64}.png"
    brought.parent.mkdir()
    brought.write_bytes(b"brought in")
    for picture, expected in (
        (
            "run:first/samples/000001-policy/000-01.png",
            {
                f"inputs/runs/first/{name}": name.encode()
                for name in ("samples/000001-policy/000-01.png", "trajectories/000001-policy/000.npz")
            },
        ),
        (f"picture:{'5' * 64}", {f"inputs/pictures/{'5' * 64}.png": b"brought in"}),
        (str(own), {f"inputs/folders/{hashlib.sha256(str(own).encode()).hexdigest()[:12]}": b"a picture"}),
    ):
        config = {"kind": "sample", "prompts": {"texts": ["a red circle"]}}
        config["inpainting"] = {"picture": picture, "mask": "1" * 64}  # type: ignore[assignment]
        made = api.post("/api/v1/runs", json={"config": config})
        assert made.status_code == 201, made.text
        answer = api.get(f"/api/v1/runs/{made.json()['id']}/bundle")
        (tmp_path / "it.zip").write_bytes(answer.content)
        assert verify(tmp_path / "it.zip") == []
        with zipfile.ZipFile(tmp_path / "it.zip") as archive:
            found = {name: archive.read(name) for name in archive.namelist() if name.startswith("inputs/")}
        assert found == expected
