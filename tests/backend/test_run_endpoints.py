"""Runs over REST: listed in a stable order, edited without lost updates, asked to stop and go on."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.schemas.run import RunStatus

RUNS = "/api/v1/runs"
TRAIN: dict[str, Any] = {"config": {"kind": "train", "name": "first", "num_steps": 5}}
Read = Callable[[], list[str]]
MakeRun = Callable[..., RunRow]


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """The body of a problem, once it is seen to be one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def test_pages_neither_repeat_nor_miss_a_run_while_others_are_created(api: TestClient, make_run: MakeRun) -> None:
    old = [str(make_run(name=f"r{number}").id) for number in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 3} | ({"after": cursor} if cursor else {})
        page = api.get(RUNS, params=params).json()
        seen += [run["id"] for run in page["data"]]
        make_run(name="meanwhile")
        if not page["has_more"]:
            assert page["next_cursor"] is None
            break
        cursor = page["next_cursor"]
    assert seen == old[::-1]


@pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WyJhIiwiYiJd", "W0luZmluaXR5XQ"])
def test_a_cursor_of_another_list_is_refused(api: TestClient, cursor: str) -> None:
    body = problem(api.get(RUNS, params={"after": cursor}), 422, "malformed")
    assert body["errors"][0]["pointer"] == "/query/after"


@pytest.mark.parametrize("limit", [0, 101, "many"])
def test_a_limit_out_of_bounds_is_refused(api: TestClient, limit: object) -> None:
    problem(api.get(RUNS, params={"limit": str(limit)}), 422, "malformed")


def test_filters_narrow_the_list(api: TestClient, make_run: MakeRun) -> None:
    make_run(name="50% done", tags=("paper",))
    running = make_run(name="other", worker="w")

    def names(**params: Any) -> list[str]:
        return [run["name"] for run in api.get(RUNS, params=params).json()["data"]]

    assert names(status="running") == ["other"]
    assert names(status=["running", "queued"]) == ["other", "50% done"]
    assert names(kind="sample") == []
    assert names(tag="paper") == ["50% done"]
    assert names(search="0% D") == ["50% done"]
    assert names(search="%") == ["50% done"]
    assert names(search="paper") == ["50% done"], "the one search box finds tags too"
    assert running.status == "running"


def test_an_unchanged_run_is_not_sent_again(api: TestClient, make_run: MakeRun) -> None:
    url = f"{RUNS}/{make_run().id}"
    etag = api.get(url).headers["etag"]
    again = api.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    api.post(f"{url}/pause")
    assert api.get(url, headers={"If-None-Match": etag}).status_code == 200


def test_an_edit_of_an_outdated_state_is_refused(api: TestClient, make_run: MakeRun) -> None:
    url = f"{RUNS}/{make_run().id}"
    etag = api.get(url).headers["etag"]
    edited = api.patch(url, json={"name": "new", "tags": ["a", "a", "b"]}, headers={"If-Match": etag})
    assert (edited.json()["name"], edited.json()["tags"]) == ("new", ["a", "b"])
    problem(api.patch(url, json={"name": "newer"}, headers={"If-Match": etag}), 412, "outdated")
    assert api.patch(url, json={"tags": []}, headers={"If-Match": edited.headers["etag"]}).json()["name"] == "new"


def test_progress_does_not_make_an_edit_outdated(
    api: TestClient, make_run: MakeRun, sessions: sessionmaker[Session]
) -> None:
    row = make_run(worker="w")
    etag = api.get(f"{RUNS}/{row.id}").headers["etag"]
    with transaction(sessions) as session:
        runs.renew_lease(session, run_id=row.id, attempt=1, lease_seconds=60)
    changed = api.patch(f"{RUNS}/{row.id}", json={"name": "n"}, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert api.get(f"{RUNS}/{row.id}", headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("changes", [{"name": ""}, {"status": "succeeded"}, {"tags": [""]}])
def test_an_edit_of_anything_else_is_refused(api: TestClient, make_run: MakeRun, changes: dict[str, Any]) -> None:
    problem(api.patch(f"{RUNS}/{make_run().id}", json=changes), 422, "malformed")


def test_a_waiting_run_is_cancelled_at_once(api: TestClient, make_run: MakeRun) -> None:
    url = f"{RUNS}/{make_run().id}"
    run = api.post(f"{url}/cancel").json()
    assert run["status"] == "cancelled"
    assert run["finished_at"] is not None
    last = api.get(f"{url}/events").json()["data"][-1]["body"]
    assert (last["type"], last["status"]) == ("status", "cancelled")
    assert api.post(f"{url}/cancel").json() == run


def test_a_running_run_is_asked_to_cancel(api: TestClient, make_run: MakeRun) -> None:
    run = api.post(f"{RUNS}/{make_run(worker='w').id}/cancel").json()
    assert (run["status"], run["flags"]["is_cancel_requested"]) == ("running", True)


def test_a_paused_run_is_queued_again_and_sent(api: TestClient, make_run: MakeRun, broker: Read) -> None:
    url = f"{RUNS}/{make_run().id}"
    assert api.post(f"{url}/pause").json()["status"] == "paused"
    resumed = api.post(f"{url}/resume").json()
    assert (resumed["status"], resumed["flags"]["is_pause_requested"]) == ("queued", False)
    assert broker() == [resumed["id"]]


def test_a_pause_that_no_step_has_honoured_is_taken_back(api: TestClient, make_run: MakeRun, broker: Read) -> None:
    url = f"{RUNS}/{make_run(worker='w').id}"
    assert api.post(f"{url}/pause").json()["flags"]["is_pause_requested"]
    resumed = api.post(f"{url}/resume").json()
    assert (resumed["status"], resumed["flags"]["is_pause_requested"]) == ("running", False)
    assert broker() == []


def test_a_paused_run_can_neither_save_nor_sample(api: TestClient, make_run: MakeRun) -> None:
    url = f"{RUNS}/{make_run().id}"
    assert api.post(f"{url}/sample-now").json()["flags"]["is_sample_requested"]
    assert api.post(f"{url}/save-checkpoint").json()["flags"]["is_save_requested"]
    api.post(f"{url}/pause")
    problem(api.post(f"{url}/sample-now"), 409, "conflict")
    problem(api.post(f"{url}/save-checkpoint"), 409, "conflict")


def test_a_cursor_of_infinity_is_refused(api: TestClient, make_run: MakeRun) -> None:
    cursor = base64.urlsafe_b64encode(b"[Infinity]").decode()
    problem(api.get(f"{RUNS}/{make_run().id}/checkpoints", params={"after": cursor}), 422, "malformed")


@pytest.mark.parametrize("kind", ["sample", "evaluate"])
@pytest.mark.parametrize("verb", ["save-checkpoint", "sample-now"])
def test_a_run_whose_policy_does_not_change_can_neither_save_nor_sample(api: TestClient, kind: str, verb: str) -> None:
    run = api.post(RUNS, json={"config": {"kind": kind}}).json()
    body = problem(api.post(f"{RUNS}/{run['id']}/{verb}"), 409, "conflict")
    assert f"is of kind {kind}: its policy does not change" in body["detail"]
    assert not any(api.get(f"{RUNS}/{run['id']}").json()["flags"].values())


def test_a_pretrain_run_can_save_and_sample(api: TestClient) -> None:
    run = api.post(RUNS, json={"config": {"kind": "pretrain"}}).json()
    assert api.post(f"{RUNS}/{run['id']}/save-checkpoint").json()["flags"]["is_save_requested"]
    assert api.post(f"{RUNS}/{run['id']}/sample-now").json()["flags"]["is_sample_requested"]


def test_every_verb_leaves_a_finished_run_as_it_is(
    api: TestClient, make_run: MakeRun, sessions: sessionmaker[Session]
) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        runs.finish(session, run_id=row.id, attempt=1, status=RunStatus.FAILED, error="the disk is full")
    before = api.get(f"{RUNS}/{row.id}").json()
    assert before["error"] == "the disk is full"
    for verb in ("cancel", "pause", "resume", "save-checkpoint", "sample-now"):
        response = api.post(f"{RUNS}/{row.id}/{verb}")
        assert (response.status_code, response.json()) == (200, before)


def test_a_clone_has_its_parents_configuration_but_for_what_is_changed(api: TestClient) -> None:
    parent = api.post(RUNS, json=TRAIN | {"tags": ["t"], "recipe": "tiny-shapes"}).json()
    response = api.post(f"{RUNS}/{parent['id']}/clone")
    assert response.status_code == 201
    clone = response.json()
    assert clone["id"] != parent["id"]
    assert clone["parent_run_id"] == parent["id"]
    for key in ("config", "tags", "recipe", "name"):
        assert clone[key] == parent[key]
    changed = api.post(
        f"{RUNS}/{parent['id']}/clone", json={"name": "second", "config": parent["config"] | {"num_steps": 9}}
    ).json()
    assert (changed["name"], changed["config"]["num_steps"]) == ("second", 9)


def test_a_preview_is_complete_and_warns(api: TestClient) -> None:
    config = {"kind": "train", "num_steps": 4, "grpo": {"transition": "candidate_1"}, "probe": {"every_num_steps": 9}}
    response = api.post(f"{RUNS}/preview", json={"config": config})
    assert response.status_code == 200
    body = response.json()
    assert body["config"]["rollout"] == {"num_prompts": 16, "group_size": 6}
    assert "num_steps: 4\n" in body["yaml"]
    warned = " ".join(body["warnings"])
    assert "candidate_1" in warned
    assert "probe.every_num_steps exceeds num_steps" in warned
    assert api.get(RUNS).json()["data"] == []
