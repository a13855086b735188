"""Aliases of reward models: set as those of policies are, never moved from one kind to the other, frozen into runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import RunFolder
from backend.db import transaction
from backend.models import RunRow
from backend.reward_tests import endpoints as reward_tests
from backend.schemas.reward import RewardConfig
from tests.backend.shell import Shell
from worker.jobs.reward_sources import with_folders

Trained = Callable[..., RunRow]
Learned = Callable[..., RunRow]

TASTE, CHAMPION = "/api/v1/aliases/taste", "/api/v1/aliases/champion"


def training(source: str, alias: str = "") -> dict[str, Any]:
    return {"config": {"kind": "train", "rewards": [{"name": "learned", "source": source, "alias": alias}]}}


def test_an_alias_has_the_kind_of_what_it_means(api: TestClient, trained: Trained, learned: Learned) -> None:
    policy, reward = trained(), learned()
    assert api.put(CHAMPION, json={"target": f"run:{policy.id}@10"}).json()["kind"] == "policy"
    assert api.put(TASTE, json={"target": f"run:{reward.id}"}).json()["kind"] == "reward_model"
    told = {each["name"]: each["kind"] for each in api.get("/api/v1/aliases").json()["data"]}
    assert told == {"champion": "policy", "taste": "reward_model"}
    models = {each["source"]: each["aliases"] for each in api.get("/api/v1/models").json()["data"]}
    assert models[f"run:{reward.id}"] == ["taste"]


def test_a_name_keeps_to_its_kind_until_it_is_given_up(api: TestClient, trained: Trained, learned: Learned) -> None:
    policy, first, second = trained(), learned(), learned("better taste")
    api.put(TASTE, json={"target": f"run:{first.id}"})
    assert api.put(TASTE, json={"target": f"run:{second.id}"}).json()["revision"] == 2
    api.put(CHAMPION, json={"target": "shipped"})
    for path, target, words in (
        (TASTE, f"run:{policy.id}@10", f"alias 'taste' means a reward model, but 'run:{policy.id}@10' is a policy"),
        (CHAMPION, f"run:{first.id}", f"alias 'champion' means a policy, but 'run:{first.id}' is a reward model"),
    ):
        refused = api.put(path, json={"target": target})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, "/target")
        assert refused.json()["detail"].startswith(f"{words}: choose another name for it, or give ")
    assert api.get(CHAMPION).json()["target"] == "shipped"
    assert api.delete(TASTE).status_code == 204
    assert api.put(TASTE, json={"target": f"run:{policy.id}@10"}).json()["kind"] == "policy"


def test_a_run_keeps_the_reward_model_that_the_alias_meant_when_it_was_launched(
    api: TestClient, learned: Learned
) -> None:
    first, second = learned(), learned("another")
    api.put(TASTE, json={"target": f"run:{first.id}"})
    made = api.post("/api/v1/runs", json=training("alias:taste"))
    assert made.status_code == 201, made.text
    api.put(TASTE, json={"target": f"run:{second.id}"})
    for path in (f"/api/v1/runs/{made.json()['id']}", f"/api/v1/runs/{made.json()['id']}/clone"):
        run = (api.post if path.endswith("clone") else api.get)(path).json()
        (reward,) = run["config"]["rewards"]
        assert (reward["source"], reward["alias"]) == (f"run:{first.id}", "taste")
    evaluation = {"kind": "evaluate", "rewards": [{"name": "learned", "source": "alias:taste"}]}
    judged = api.post("/api/v1/runs", json={"config": evaluation}).json()["config"]["rewards"][0]
    assert judged["source"] == f"run:{second.id}", "what it means at that moment"
    shown = api.post("/api/v1/runs/preview", json=training("alias:taste")).json()
    assert f"source: run:{second.id}\n  alias: taste" in shown["yaml"]


def test_an_alias_of_the_other_kind_or_none_is_refused_where_it_stands(
    api: TestClient, trained: Trained, learned: Learned
) -> None:
    policy, reward = trained(), learned()
    api.put(CHAMPION, json={"target": f"run:{policy.id}@10"})
    api.put(TASTE, json={"target": f"run:{reward.id}"})
    for config, pointer, words in (
        (training("alias:champion"), "/config/rewards/0/source", "means a policy"),
        (training("alias:nobody"), "/config/rewards/0/source", "there are champion, taste"),
        (training(f"run:{reward.id}", "champion"), "/config/rewards/0/alias", "never meant"),
        ({"config": {"kind": "train", "policy": {"source": "alias:taste"}}}, "/config/policy/source", "a reward model"),
    ):
        for path in ("/api/v1/runs", "/api/v1/runs/preview"):
            answer = api.post(path, json=config)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
            assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "train", "rewards": [{"name": "clip", "source": "alias:taste"}]},
        {"kind": "train", "rewards": [{"name": "strict", "alias": "taste"}]},
        {"kind": "reward_model", "base": "alias:taste", "pairs": {"source": "a" * 64}},
    ],
)
def test_an_alias_where_none_can_stand_is_refused_with_the_cure(api: TestClient, config: dict[str, Any]) -> None:
    answer = api.post("/api/v1/runs", json={"config": config})
    assert answer.status_code == 422
    assert "alias" in answer.json()["errors"][0]["message"]
    assert "name" in answer.json()["errors"][0]["message"]


def test_a_reward_model_that_an_alias_or_a_run_names_is_not_deleted(
    api: TestClient, sessions: sessionmaker[Session], learned: Learned, tmp_path: Path
) -> None:
    row = learned()
    api.put(TASTE, json={"target": f"run:{row.id}"})
    model = f"/api/v1/models/run:{row.id}"
    assert "used by alias 'taste'" in api.delete(model).json()["detail"]
    run = api.post("/api/v1/runs", json=training("alias:taste")).json()
    api.delete(TASTE)
    assert [user["id"] for user in api.get(f"{model}/users").json()] == [run["id"]], "the run names the model itself"
    assert api.delete(model).status_code == 409
    with transaction(sessions) as session:
        session.execute(update(RunRow).where(RunRow.id == run["id"]).values(config={"kind": "train"}))
    assert api.delete(model).status_code == 204
    assert not (tmp_path / "runs" / str(row.id) / "exports/reward").exists()
    assert api.post("/api/v1/runs", json=training("alias:taste")).status_code == 422, "the name was given up"


def test_a_lineage_tells_a_reward_models_names(api: TestClient, trained: Trained, learned: Learned) -> None:
    reward = learned()
    tuned = trained(rewards=({"name": "learned", "source": f"run:{reward.id}", "alias": "taste"},))
    api.put(TASTE, json={"target": f"run:{reward.id}"})
    found = api.get(f"/api/v1/models/run:{tuned.id}/lineage").json()
    nodes = {node["id"]: node for node in found["nodes"]}
    assert (nodes[f"run:{reward.id}"]["kind"], nodes[f"run:{reward.id}"]["aliases"]) == ("reward_model", ["taste"])
    edges = {(edge["origin"], edge["relation"], edge["product"]) for edge in found["edges"]}
    assert {
        (f"run:{reward.id}", "rewarded_by", f"run:{tuned.id}"),
        ("a" * 64, "learned_from", f"run:{reward.id}"),
        ("shipped CLIP", "started_from", f"run:{reward.id}"),
    } <= edges


def test_the_sandbox_asks_the_reward_model_behind_the_alias(
    api: TestClient, learned: Learned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = learned()
    api.put(TASTE, json={"target": f"run:{row.id}"})
    # Whether a worker is heard is another test's matter.
    monkeypatch.setattr(reward_tests, "refuse_without_worker", lambda _: None)
    picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    wanted = {"prompt": "a red circle", "image": picture, "rewards": [{"name": "learned", "source": "alias:taste"}]}
    made = api.post("/api/v1/reward-tests", json=wanted)
    assert made.status_code == 201, made.text
    kept = (tmp_path / "reward-tests" / made.json()["id"] / "request.json").read_text()
    assert f'"source":"run:{row.id}"' in kept.replace(" ", "")
    refused = api.post("/api/v1/reward-tests", json=wanted | {"rewards": [{"name": "learned", "source": "alias:x"}]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/rewards/0/source")


def test_a_job_without_a_studio_says_that_it_knows_no_aliases(tmp_path: Path) -> None:
    reward = RewardConfig.model_validate({"name": "learned", "source": "alias:taste"})
    with pytest.raises(ValueError, match="only a studio knows aliases; name its run"):
        with_folders((reward,), RunFolder(tmp_path / "runs" / "it"))


def test_commands_tell_the_kind(shell: Shell, studio: str, learned: Learned) -> None:
    row = learned()
    assert shell("alias", "set", "taste", f"run:{row.id}") == 0
    assert shell.out == f"alias:taste means reward model run:{row.id}, move 1\n"
    assert shell("alias", "list") == 0
    assert "reward model" in shell.out
    assert shell("alias", "set", "taste", "shipped") != 0
    assert "choose another name" in shell.err
