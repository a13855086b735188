"""A model of a run that never was, or never will have it, is refused before anything is queued and by the preflight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.models import RunRow
from backend.settings import Settings
from tests.backend.registry.conftest import trained, write_weights

__all__ = ["trained", "write_weights"]

RUNS, PREFLIGHT = "/api/v1/runs", "/api/v1/preflight"
MakeRun = Callable[..., RunRow]

SECTIONS: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("/config/policy/source", lambda source: {"kind": "train", "policy": {"source": source}}),
    ("/config/policy/source", lambda source: {"kind": "sample", "policy": {"source": source}}),
    ("/config/base/source", lambda source: {"kind": "evaluate", "base": {"source": source}}),
    (
        "/config/policies/0/source",
        lambda source: {"kind": "evaluate", "policies": [{"label": "other", "source": source}]},
    ),
    (
        "/config/rewards/0/source",
        lambda source: {"kind": "train", "rewards": [{"name": "learned", "source": source}]},
    ),
]


@pytest.mark.parametrize(("pointer", "config"), SECTIONS)
@pytest.mark.parametrize("name", ["nope", "01a22163-90bb-7255-aa21-c013e759eb07"])
def test_a_run_that_does_not_exist_is_refused_where_it_stands(
    api: TestClient, pointer: str, config: Callable[[str], dict[str, Any]], name: str
) -> None:
    for route in (RUNS, PREFLIGHT):
        answer = api.post(route, json={"config": config(f"run:{name}")})
        assert answer.status_code == 422, route
        assert answer.json()["errors"] == [
            {
                "pointer": pointer,
                "message": f"there is no run {name}, which 'run:{name}' names: take one of GET /api/v1/models",
            }
        ]
    assert api.get(RUNS).json()["data"] == []


def refused(api: TestClient, source: str) -> str:
    answer = api.post(RUNS, json={"config": {"kind": "sample", "policy": {"source": source}}})
    assert answer.status_code == 422, answer.text
    return str(answer.json()["errors"][0]["message"])


def test_a_run_that_makes_no_policy_is_refused(api: TestClient, make_run: MakeRun) -> None:
    sampled = api.post(RUNS, json={"config": {"kind": "sample"}}).json()["id"]
    assert "is of kind sample, which makes no model" in refused(api, f"run:{sampled}")
    train = make_run()
    answer = api.post(
        RUNS, json={"config": {"kind": "train", "rewards": [{"name": "learned", "source": f"run:{train.id}"}]}}
    )
    assert "is of kind train, and here a reward model is wanted" in answer.json()["detail"]
    assert "write run:<id> or run:<id>@<step>" in refused(api, f"run:{train.id}@last")


def test_a_step_that_a_run_passed_or_never_reaches_is_refused(
    api: TestClient, trained: Callable[..., RunRow], make_run: MakeRun
) -> None:
    ended = trained()
    assert "it kept those of steps 10, 20" in refused(api, f"run:{ended.id}@11")
    pending = make_run()
    beyond = pending.config["num_steps"] + 1
    assert "will make none: it is at step 0 of" in refused(api, f"run:{pending.id}@{beyond}")


def test_a_run_of_the_command_line_beside_the_studios_is_the_jobs_matter(api: TestClient, settings: Settings) -> None:
    (settings.runs_dir / "mine").mkdir(parents=True)
    assert api.post(RUNS, json={"config": {"kind": "sample", "policy": {"source": "run:mine"}}}).status_code == 201


def test_a_folder_without_a_policy_is_warned_of(api: TestClient, tmp_path: Path) -> None:
    for source, words in ((str(tmp_path), "is a folder without config.json"), (str(tmp_path / "no"), "is no folder")):
        wanted = {"config": {"kind": "evaluate", "base": {"source": source}}}
        (warning,) = (each for each in api.post(f"{RUNS}/preview", json=wanted).json()["warnings"] if source in each)
        assert words in warning
        assert warning in api.post(PREFLIGHT, json=wanted | {"memory_gib": 64}).json()["notes"]
        run = api.post(RUNS, json=wanted)
        # A worker of another machine may see another folder there.
        assert run.status_code == 201
        alarm = api.get(f"{RUNS}/{run.json()['id']}/events").json()["data"][-1]["body"]
        assert (alarm["code"], alarm["severity"]) == ("unseen_folder", "warning")
        assert words in alarm["message"]
    hub = {"config": {"kind": "evaluate", "base": {"source": "showlab/show-o"}}}
    assert not [each for each in api.post(f"{RUNS}/preview", json=hub).json()["warnings"] if "showlab" in each]


def test_a_reward_whose_folder_is_not_there_is_warned_of(api: TestClient, tmp_path: Path) -> None:
    rewards = [{"name": "aesthetic", "source": str(tmp_path / "no")}]
    wanted = {"config": {"kind": "train", "rewards": rewards}, "memory_gib": 64}
    assert any("rewards.0.source" in note for note in api.post(PREFLIGHT, json=wanted).json()["notes"])


def test_the_preflight_says_that_a_cpu_compiles_nothing(api: TestClient) -> None:
    config = {"kind": "train", "policy": {"is_compiled": True}}
    (reason,) = api.post(PREFLIGHT, json={"config": config, "memory_gib": 64}).json()["refusals"]
    assert "is a CPU" in reason
    assert "switch it off" in reason
    named = {"config": config, "accelerator": "H100"}
    assert api.post(PREFLIGHT, json=named).json()["refusals"] == []
    config["policy"] = {"is_compiled": True, "device": "cpu"}
    answer = api.post(RUNS, json={"config": config})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/config/policy/is_compiled"
