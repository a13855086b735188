"""Naming and deleting at the same moment: two real transactions, in both orders, for each thing that a run can name."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.naming_locks import lock_for_deletion, lock_named, names_in
from backend.pair_sets import service as pair_sets
from backend.pair_sets.folder import PairSets
from backend.prompt_sets import service as prompt_sets
from backend.registry import aliases, deletion
from backend.registry.refs import read_ref
from backend.runs import service as runs
from backend.schemas.config import run_config_adapter
from backend.schemas.registry import AliasSet
from backend.schemas.run import RunCreate
from tests.backend.registry.conftest import learned, trained, write_weights

__all__ = ["learned", "trained", "write_weights"]

Sessions = sessionmaker[Session]
RUNS = "/api/v1/runs"
DEADLINE_S = 60


@dataclass
class Thing:
    """Something that a run can name."""

    config: dict[str, Any]
    url: str
    delete: Callable[[Session], None]
    file: Path


@pytest.fixture
def thing(request: pytest.FixtureRequest, api: TestClient, tmp_path: Path) -> Thing:
    """One of the kinds of things."""
    kind: str = request.param
    runs_dir = tmp_path / "runs"
    if kind == "pair set":
        key = hashlib.sha256(b"pairs").hexdigest()
        folder = tmp_path / "pair-sets" / key
        folder.mkdir(parents=True)
        counts = ("pairs", "prompts", "pictures", "votes", "ties", "raters", "simulated_raters")
        manifest: dict[str, Any] = {"sha256": key, "name": "x", "created_at": "2026-01-01T00:00:00Z", "source": {}}
        manifest |= {"left_out": {}, "num_bytes": 1} | {f"num_{each}": 1 for each in counts}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        config = {"kind": "reward_model", "pairs": {"source": key}}
        sets = PairSets(folder.parent)
        return Thing(config, f"/api/v1/pair-sets/{key}", lambda own: pair_sets.delete(own, sets, key), folder)
    row: RunRow = request.getfixturevalue("learned" if kind == "reward model" else "trained")()
    folder = runs_dir / str(row.id)
    ref = f"run:{row.id}@10" if kind == "checkpoint" else f"run:{row.id}"
    file = {"checkpoint": "checkpoints/000010", "export": "exports/policy", "reward model": "exports/reward"}[kind]
    config = {"kind": "train", "policy": {"source": ref}}
    if kind == "reward model":
        config = {"kind": "train", "rewards": [{"name": "learned", "source": ref}]}
    found = read_ref(ref)
    return Thing(
        config, f"/api/v1/models/{ref}", lambda own: deletion.delete_model(own, runs_dir, found), folder / file
    )


every_thing = pytest.mark.parametrize(
    "thing", ["pair set", "checkpoint", "export", "reward model"], indirect=True, ids=lambda kind: kind
)


def wait_until_somebody_waits(sessions: Sessions) -> None:
    """Returns once a transaction stands before another's lock."""
    until = time.monotonic() + DEADLINE_S
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while time.monotonic() < until:
        with sessions() as session:
            if session.scalar(query):
                return
        time.sleep(0.02)
    pytest.fail("nobody waited: naming and deleting passed each other")


def wanted(config: dict[str, Any]) -> RunCreate:
    return RunCreate(config=run_config_adapter.validate_python(config))


@every_thing
def test_a_deletion_waits_for_the_run_that_is_being_created_and_is_refused_then(
    api: TestClient, sessions: Sessions, thing: Thing, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as pool:
        with transaction(sessions) as session:
            run = runs.create_run(session, tmp_path / "runs", wanted(thing.config))
            deletion_of_it = pool.submit(api.delete, thing.url)
            wait_until_somebody_waits(sessions)
        refused = deletion_of_it.result(DEADLINE_S)
    assert refused.status_code == 409, refused.text
    assert "used by" in refused.json()["detail"]
    assert thing.file.exists()
    assert [each["id"] for each in api.get(RUNS, params={"status": "queued"}).json()["data"]] == [str(run.id)]


@every_thing
def test_a_run_waits_for_the_deletion_of_what_it_names_and_is_refused_then(
    api: TestClient, sessions: Sessions, thing: Thing
) -> None:
    with ThreadPoolExecutor() as pool:
        with transaction(sessions) as session:
            thing.delete(session)
            creation = pool.submit(api.post, RUNS, json={"config": thing.config})
            wait_until_somebody_waits(sessions)
        refused = creation.result(DEADLINE_S)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"].endswith("/source")
    assert not thing.file.exists()
    assert api.get(RUNS, params={"status": "queued"}).json()["data"] == []


@pytest.fixture
def prompts(api: TestClient, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """A stored prompt set, and its file."""
    made = api.post("/api/v1/prompt-sets", json={"name": "hard", "content": "a red circle\n", "format": "text"})
    assert made.status_code == 201, made.text
    return made.json(), tmp_path / "prompt-sets" / f"{made.json()['latest']['sha256']}.jsonl"


def test_a_prompt_set_is_not_deleted_under_the_run_that_is_being_created(
    api: TestClient, sessions: Sessions, prompts: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    made, file = prompts
    config = {"kind": "train", "prompts": {"prompt_set": file.stem}}
    with ThreadPoolExecutor() as pool:
        with transaction(sessions) as session:
            run = runs.create_run(session, tmp_path / "runs", wanted(config))
            deletion_of_it = pool.submit(api.delete, f"/api/v1/prompt-sets/{made['id']}")
            wait_until_somebody_waits(sessions)
        refused = deletion_of_it.result(DEADLINE_S)
    assert (refused.status_code, str(run.id) in refused.json()["detail"]) == (409, True)
    assert file.is_file()


def test_a_run_that_waited_for_a_prompt_sets_deletion_has_its_prompts_or_is_refused(
    api: TestClient, sessions: Sessions, prompts: tuple[dict[str, Any], Path]
) -> None:
    made, file = prompts
    config = {"kind": "train", "prompts": {"prompt_set": file.stem}}
    with ThreadPoolExecutor() as pool:
        with transaction(sessions) as session:
            prompt_sets.delete(session, file.parent, made["id"])
            creation = pool.submit(api.post, RUNS, json={"config": config})
            wait_until_somebody_waits(sessions)
        answer = creation.result(DEADLINE_S)
    # The file goes after the commit, so either of them may be the first to look at it: never the one and the other.
    assert (answer.status_code, file.exists()) in ((201, True), (422, False))


@pytest.mark.parametrize("who", ["a run", "a set"])
def test_a_file_that_is_needed_again_between_the_commit_and_its_removal_stays(
    api: TestClient, sessions: Sessions, prompts: tuple[dict[str, Any], Path], who: str
) -> None:
    made, file = prompts
    with transaction(sessions) as session:
        prompt_sets.delete(session, file.parent, made["id"])
        removal = session.info.pop("actions after the commit")
    if who == "a run":
        config = {"kind": "train", "prompts": {"prompt_set": file.stem}}
        assert api.post(RUNS, json={"config": config}).status_code == 201
    else:
        same = {"name": "the same again", "content": "a red circle\n", "format": "text"}
        assert api.post("/api/v1/prompt-sets", json=same).json()["latest"]["sha256"] == file.stem
    with transaction(sessions) as session:
        for action in removal:
            action(session)
    assert file.is_file()


def test_an_alias_and_a_deletion_of_its_model_wait_for_each_other(
    api: TestClient, sessions: Sessions, trained: Callable[..., RunRow], tmp_path: Path
) -> None:
    row, runs_dir = trained(), tmp_path / "runs"
    ref, alias = f"run:{row.id}@10", "/api/v1/aliases/champion"
    with ThreadPoolExecutor() as pool:
        with transaction(sessions) as session:
            aliases.set_alias(session, runs_dir, "champion", AliasSet(target=ref), None)
            refused = pool.submit(api.delete, f"/api/v1/models/{ref}")
            wait_until_somebody_waits(sessions)
        assert "used by alias 'champion'" in refused.result(DEADLINE_S).json()["detail"]
        api.delete(alias)
        with transaction(sessions) as session:
            deletion.delete_model(session, runs_dir, read_ref(ref))
            late = pool.submit(api.put, alias, json={"target": ref})
            wait_until_somebody_waits(sessions)
        assert late.result(DEADLINE_S).status_code == 422


def test_a_model_that_its_run_ended_without_is_refused_and_one_that_may_still_come_is_not(
    api: TestClient, trained: Callable[..., RunRow], make_run: Callable[..., RunRow]
) -> None:
    ended, running = trained(), make_run(worker="w")
    for source, status in (
        (f"run:{ended.id}@10", 201),
        (f"run:{ended.id}@11", 422),
        (f"run:{running.id}@11", 201),
        (f"run:{running.id}", 201),
    ):
        config = {"kind": "evaluate", "policies": [{"label": "other", "source": source}]}
        answer = api.post(RUNS, json={"config": config})
        assert answer.status_code == status, answer.text
    assert api.post(RUNS, json={"config": config | {"base": {"source": f"run:{ended.id}@11"}}}).json()["errors"] == [
        {
            "pointer": "/config/base/source",
            "message": f"model 'run:{ended.id}@11' is not there (any more), and its run has ended; it kept "
            "those of steps 10, 20: take one of GET /api/v1/models",
        }
    ]


def test_those_who_name_do_not_wait_for_each_other(sessions: Sessions) -> None:
    with transaction(sessions) as first, transaction(sessions) as second:
        second.execute(text("SET LOCAL lock_timeout = '2s'"))
        lock_named(first, ["a", "b"])
        lock_named(second, ["b", "a"])
        lock_for_deletion(second, ["c"])


def test_a_configuration_names_runs_sets_and_what_lies_outside() -> None:
    config = {
        "kind": "train",
        "policy": {"source": "showlab/show-o-512x512"},
        "rewards": [
            {"name": "learned", "source": "run:0190F5FE-7C00-7A00-8000-000000000001"},
            {"name": "clip", "source": "/weights/clip"},
        ],
        "prompts": {"prompt_set": "a" * 64},
    }
    assert names_in(run_config_adapter.validate_python(config)) == {
        "showlab/show-o-512x512",
        "run:0190f5fe-7c00-7a00-8000-000000000001",
        "/weights/clip",
        "a" * 64,
    }
