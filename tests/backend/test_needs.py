"""Runs that need a pair set or a proven reward model are refused before they are queued, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.settings import Settings
from tests.backend.reward_models import RUN_ID, write_reward

RUNS = "/api/v1/runs"


def train(source: str) -> dict[str, Any]:
    return {"config": {"kind": "train", "rewards": [{"name": "strict"}, {"name": "learned", "source": source}]}}


def test_a_run_may_train_on_a_proven_reward_model(api: TestClient, settings: Settings) -> None:
    write_reward(settings.runs_dir, RUN_ID)
    assert api.post(RUNS, json=train(f"run:{RUN_ID}")).status_code == 201
    folder = settings.runs_dir / RUN_ID / "exports" / "reward"
    assert api.post(RUNS, json=train(str(folder))).status_code == 201


def test_a_reward_model_no_better_than_chance_is_refused_where_it_stands(api: TestClient, settings: Settings) -> None:
    write_reward(settings.runs_dir, RUN_ID, accuracy=(0.55, 0.45, 0.65))
    answer = api.post(RUNS, json=train(f"run:{RUN_ID}"))
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == "/config/rewards/1/source"
    assert "held-out accuracy is 0.550 [0.450, 0.650] on 80 pairs" in problem["message"]
    assert "collect more votes" in problem["message"]
    assert api.get(RUNS).json()["data"] == []
    # The preview says so too, before anybody presses the button.
    (warning, *_) = api.post(f"{RUNS}/preview", json=train(f"run:{RUN_ID}")).json()["warnings"]
    assert "no better than chance" in warning


def test_absent_and_changed_reward_models_are_refused(api: TestClient, settings: Settings) -> None:
    assert "there is no run nobody" in api.post(RUNS, json=train("run:nobody")).json()["detail"]
    folder = write_reward(settings.runs_dir, RUN_ID)
    (folder / "open_clip_model.safetensors").write_bytes(b"other weights")
    assert "is not what its report speaks of" in api.post(RUNS, json=train(f"run:{RUN_ID}")).json()["detail"]
    (folder / "report.json").write_text("{}")
    assert "no report of this version" in api.post(RUNS, json=train(f"run:{RUN_ID}")).json()["detail"]
    # No name leads out of the runs' folder.
    assert api.post(RUNS, json=train("run:../../etc")).status_code == 422


@pytest.mark.parametrize(
    ("name", "part"), [("extrapolation", {"extensions": [{"direction": "up"}]}), ("inpainting", {"mask": "1"})]
)
@pytest.mark.parametrize("picture", ["run:nobody/samples/a.png", f"picture:{'0' * 64}"])
def test_an_edit_needs_its_picture(api: TestClient, name: str, part: dict[str, Any], picture: str) -> None:
    config = {"kind": "sample", "prompts": {"texts": ["two stars"]}, name: part | {"picture": picture}}
    answer = api.post(RUNS, json={"config": config})
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == f"/config/{name}/picture"
    assert "which is not there: name a sample's image_path" in problem["message"]


def test_an_edit_of_a_picture_that_is_there_is_queued(api: TestClient, settings: Settings) -> None:
    path = settings.runs_dir / RUN_ID / "samples" / "a.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    part = {"picture": f"run:{RUN_ID}/samples/a.png", "extensions": [{"direction": "up"}]}
    config = {"kind": "sample", "prompts": {"texts": ["two stars"]}, "extrapolation": part}
    assert api.post(RUNS, json={"config": config}).status_code == 201


@pytest.mark.parametrize(("source", "words"), [("", "pairs.source is empty"), ("a" * 64, "there is no pair set aaa")])
def test_a_reward_model_needs_a_pair_set(api: TestClient, source: str, words: str) -> None:
    answer = api.post(RUNS, json={"config": {"kind": "reward_model", "pairs": {"source": source}}})
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["pointer"] == "/config/pairs/source"
    assert words in problem["message"]


def test_a_reward_model_run_is_queued_on_a_pair_set_that_is_there(api: TestClient, tmp_path: Path) -> None:
    (tmp_path / "pair-sets" / ("b" * 64)).mkdir(parents=True)
    answer = api.post(RUNS, json={"config": {"kind": "reward_model", "pairs": {"source": "b" * 64}}})
    assert answer.status_code == 201
    run = answer.json()
    assert run["kind"] == "reward_model"
    # It can be saved, but makes no pictures.
    assert api.post(f"{RUNS}/{run['id']}/save-checkpoint").status_code == 200
    assert api.post(f"{RUNS}/{run['id']}/sample-now").status_code == 409


def test_an_evaluation_scores_with_proven_reward_models_only(api: TestClient, settings: Settings) -> None:
    config = {"kind": "evaluate", "rewards": [{"name": "learned", "source": f"run:{RUN_ID}"}]}
    assert f"there is no run {RUN_ID}" in api.post(RUNS, json={"config": config}).json()["detail"]
    write_reward(settings.runs_dir, RUN_ID)
    assert api.post(RUNS, json={"config": config}).status_code == 201
