"""Rewards and reward models over REST: which there are, what they are worth, and where they come from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from backend.client import StudioClient
from backend.reward_models import known
from backend.schemas.reward import RewardName
from backend.settings import Settings
from tests.backend.reward_models import write_reward
from worker.rewards.clip_score import HPS, PICKSCORE

MODELS = "/api/v1/reward-models"
PAIR_SET = hashlib.sha256(b"pairs").hexdigest()
LABEL_TASK = "0190f5fe-7c00-7a00-8000-0000000000aa"


@pytest.fixture
def pair_set(tmp_path: Path) -> str:
    """A frozen pair set's folder; its manifest says which label task it is made of."""
    folder = tmp_path / "pair-sets" / PAIR_SET
    folder.mkdir(parents=True)
    counts = ("num_pairs", "num_prompts", "num_pictures", "num_votes", "num_ties", "num_raters", "num_simulated_raters")
    manifest: dict[str, Any] = {
        "sha256": PAIR_SET,
        "name": "bluer is better",
        "created_at": "2026-01-01T00:00:00Z",
        "source": {"label_task_id": LABEL_TASK, "guideline": "choose the bluer one"},
        "left_out": {},
        "num_bytes": 1,
    } | dict.fromkeys(counts, 1)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return PAIR_SET


def launch(api: TestClient, pair_set: str, name: str = "a reward") -> str:
    config = {"kind": "reward_model", "name": name, "pairs": {"source": pair_set}}
    return str(api.post("/api/v1/runs", json={"config": config}).json()["id"])


def test_a_reward_model_tells_its_report_and_where_it_comes_from(
    api: TestClient, settings: Settings, pair_set: str
) -> None:
    run_id = launch(api, pair_set)
    waiting = api.get(f"{MODELS}/{run_id}").json()
    assert (waiting["status"], waiting["report"]) == ("queued", None)
    assert "it has not begun" in waiting["refusal"]

    write_reward(settings.runs_dir, run_id)
    trained = {"kind": "train", "rewards": [{"name": "learned", "source": f"run:{run_id}"}]}
    user = api.post("/api/v1/runs", json={"config": trained}).json()["id"]
    found = api.get(f"{MODELS}/{run_id}").json()
    assert found["refusal"] is None
    assert found["source"] == f"run:{run_id}"
    assert found["report"]["accuracy"] == {"value": 0.8, "low": 0.7, "high": 0.9, "num_pairs": 80}
    assert found["lineage"] == {
        "pair_set": pair_set,
        "pair_set_name": "bluer is better",
        "pair_set_source": {"label_task_id": LABEL_TASK, "guideline": "choose the bluer one"},
        "label_task_id": LABEL_TASK,
        "base": "shipped",
        "used_by": [user],
    }


def test_models_are_listed_newest_first_by_pages_and_other_kinds_are_none(api: TestClient, pair_set: str) -> None:
    ids = [launch(api, pair_set, f"reward {number}") for number in range(3)]
    other = api.post("/api/v1/runs", json={"config": {"kind": "train"}}).json()["id"]
    first = api.get(MODELS, params={"limit": 2}).json()
    second = api.get(MODELS, params={"limit": 2, "after": first["next_cursor"]}).json()
    assert [model["run_id"] for model in [*first["data"], *second["data"]]] == ids[::-1]
    assert not second["has_more"]
    answer = api.get(f"{MODELS}/{other}")
    assert answer.status_code == 409
    assert "only a reward_model run" in answer.json()["detail"]
    assert api.get(f"{MODELS}/{LABEL_TASK}").status_code == 404


def test_every_reward_is_known_and_the_learned_one_is_here_once_one_is_proven(
    api: TestClient, settings: Settings, pair_set: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    rewards = {reward["name"]: reward for reward in api.get("/api/v1/rewards").json()["data"]}
    assert list(rewards) == [name.value for name in RewardName]
    here = [name for name, reward in rewards.items() if reward["availability"] == "here"]
    assert here == ["correct", "dense", "strict", "jpeg_size", "clip"]
    assert rewards["clip"]["version"].startswith("sha256 c38b2abf0a0b")
    assert rewards["learned"]["availability"] == rewards["pickscore"]["availability"] == "missing"
    assert rewards["remote"]["availability"] == rewards["aesthetic"]["availability"] == "by_source"

    (tmp_path / "hub" / "models--yuvalkirstain--PickScore_v1" / "snapshots" / "abc").mkdir(parents=True)
    pickscore = next(each for each in api.get("/api/v1/rewards").json()["data"] if each["name"] == "pickscore")
    assert (pickscore["availability"], pickscore["version"]) == ("here", "commit abc")


def test_published_names_are_those_that_the_loaders_look_for() -> None:
    loaders = {RewardName.PICKSCORE: PICKSCORE, RewardName.HPS: HPS}
    assert {name: published.hub_name for name, published in loaders.items()} == known.HUB_NAMES


def test_the_client_reads_all_of_it(api: TestClient, settings: Settings, pair_set: str) -> None:
    run_id = launch(api, pair_set)
    write_reward(settings.runs_dir, run_id)
    transport = httpx.MockTransport(
        lambda request: httpx.Response(
            (answer := api.request(request.method, str(request.url), content=request.read())).status_code,
            content=answer.content,
        )
    )
    with StudioClient("http://testserver", transport=transport) as client:
        assert [reward.name for reward in client.list_rewards()] == list(RewardName)
        (model,) = client.list_reward_models().data
        assert model == client.get_reward_model(run_id)
        assert model.report is not None
        assert model.report.refusal is None
