"""People are asked about a run in one request: which pairs that makes, of which steps, and that it is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.models import LabelPairRow
from backend.schemas.sample import GroupRecord
from tests.backend.preferences.conftest import TASKS

MakeGroup = Callable[..., GroupRecord]
Add = Callable[..., None]


def ask(api: TestClient, run_id: object, key: str | None = None, **wanted: Any) -> dict[str, Any]:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = api.post(f"/api/v1/runs/{run_id}/label-tasks", json=wanted, headers=headers)
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"{TASKS}/{task['id']}"
    return task


def samples_of(sessions: sessionmaker[Session], task: dict[str, Any]) -> list[str]:
    with sessions() as session:
        pairs = session.scalars(select(LabelPairRow).where(LabelPairRow.label_task_id == UUID(task["id"])))
        return [side["sample_id"] for pair in pairs for side in (pair.side_0, pair.side_1)]


@pytest.fixture
def trained(make_run: Callable[..., Any], make_group: MakeGroup, add: Add) -> UUID:
    """Twenty steps of two groups of four samples."""
    run_id: UUID = make_run(name="hacked").id
    groups = [make_group(step=step, index=index, num_samples=4) for step in range(1, 21) for index in (0, 1)]
    add(run_id, *groups)
    return run_id


def test_fifty_samples_of_the_newest_groups_are_in_one_pair_each(
    api: TestClient, trained: UUID, sessions: sessionmaker[Session]
) -> None:
    task = ask(api, trained)
    assert (task["num_pairs"], task["votes_per_pair"], task["name"]) == (25, 3, "hacked, step 20")
    assert task["source"]["steps"] == [14, 20]
    assert "Choose the picture" in task["guideline"]
    found = samples_of(sessions, task)
    assert len(found) == len(set(found)) == 50


def test_an_alarms_step_is_the_last_that_is_asked_about(api: TestClient, trained: UUID) -> None:
    task = ask(api, trained, step=5, num_samples=8, votes_per_pair=1)
    assert (task["num_pairs"], task["name"], task["source"]["steps"]) == (4, "hacked, step 5", [5, 5])
    early = api.post(f"/api/v1/runs/{trained}/label-tasks", json={"step": 0})
    assert (early.status_code, "up to step 0" in early.json()["detail"]) == (409, True)


def test_the_newest_probe_is_set_against_the_first_where_there_are_two(
    api: TestClient, trained: UUID, make_group: MakeGroup, add: Add
) -> None:
    add(trained, *(make_group(step=step, policy="policy") for step in (5, 10, 15)), purpose="probe")
    assert ask(api, trained)["source"]["kind"] == "within_group", "a probe of two samples is too few for 25 pairs"
    assert ask(api, trained, num_samples=4)["source"] | {"run_id": ""} == {
        "kind": "checkpoints",
        "run_id": "",
        "other_run_id": None,
        "steps": [5, 15],
        "policies": ["base", "policy"],
        "run_policies": ["policy", "policy"],
    }
    assert ask(api, trained, step=12, num_samples=4)["name"] == "hacked, step 10 against 5"
    assert ask(api, trained, step=9, num_samples=4)["source"]["kind"] == "within_group"


def test_probes_that_are_equal_picture_by_picture_make_no_task_and_groups_do(
    api: TestClient, trained: UUID, make_group: MakeGroup, add: Add
) -> None:
    same = make_group(step=5, policy="policy")
    add(trained, same, same.model_copy(update={"step": 10}), purpose="probe")
    assert ask(api, trained, num_samples=4)["source"]["kind"] == "within_group"


def test_an_evaluation_and_a_sample_run_are_asked_about_too(
    api: TestClient, evaluation: str, make_group: MakeGroup, add: Add
) -> None:
    assert ask(api, evaluation)["source"]["policies"] == ["base", "policy"]
    run = api.post("/api/v1/runs", json={"config": {"kind": "sample", "name": "two seeds"}}).json()
    add(UUID(run["id"]), make_group(num_samples=2), purpose="sample")
    task = ask(api, run["id"])
    assert (task["name"], task["source"]["kind"], task["num_pairs"]) == ("two seeds", "sampling", 1)


def test_the_same_key_is_the_same_task_and_other_words_under_it_are_refused(api: TestClient, trained: UUID) -> None:
    first, again = ask(api, trained, key="alarm 7"), ask(api, trained, key="alarm 7")
    assert first["id"] == again["id"] != ask(api, trained)["id"]
    headers = {"Idempotency-Key": "alarm 7"}
    other = api.post(f"/api/v1/runs/{trained}/label-tasks", json={"step": 3}, headers=headers)
    assert other.status_code == 422
    assert len(api.get(TASKS).json()["data"]) == 2


def test_what_cannot_be_judged_says_so(api: TestClient, make_run: Callable[..., Any]) -> None:
    nothing = api.post(f"/api/v1/runs/{make_run().id}/label-tasks")
    assert (nothing.status_code, "stored no samples" in nothing.json()["detail"]) == (409, True)
    run = api.post("/api/v1/runs", json={"config": {"kind": "pretrain"}}).json()
    refused = api.post(f"/api/v1/runs/{run['id']}/label-tasks")
    assert (refused.status_code, "makes no pictures" in refused.json()["detail"]) == (409, True)
    assert api.post(f"/api/v1/runs/{uuid4()}/label-tasks").status_code == 404
    assert api.post(f"/api/v1/runs/{run['id']}/label-tasks", json={"votes_per_pair": 4}).status_code == 422
