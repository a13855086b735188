"""Runs over REST: created once, listed in a stable order, edited without lost updates, and asked to stop and go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.runs import service
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


def test_a_created_run_is_queued_and_its_message_is_sent(api: TestClient, broker: Read) -> None:
    response = api.post(RUNS, json=TRAIN)
    assert response.status_code == 201
    run = response.json()
    assert response.headers["location"] == f"{RUNS}/{run['id']}"
    assert (run["status"], run["name"], run["num_events"], run["attempt"]) == ("queued", "first", 1, 0)
    assert run["config"]["num_steps"] == 5
    assert UUID(run["id"]).version == 7
    assert broker() == [run["id"]]
    assert api.get(response.headers["location"]).json() == run


def test_the_row_is_committed_before_the_message_leaves(
    api: TestClient, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def send(run_id: UUID) -> bool:
        with sessions() as session:
            seen.append(runs.get_run(session, run_id=run_id).status)
        return True

    monkeypatch.setattr(queue, "send", send)
    api.post(RUNS, json=TRAIN)
    assert seen == ["queued"]


def test_a_broker_that_is_down_loses_no_run(
    api: TestClient, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, broker: Read
) -> None:
    working = queue.celery_app
    monkeypatch.setattr(queue, "celery_app", queue.build_celery("redis://127.0.0.1:1/0"))
    run_id = api.post(RUNS, json=TRAIN).json()["id"]
    assert api.get(f"{RUNS}/{run_id}").json()["status"] == "queued"
    monkeypatch.setattr(queue, "celery_app", working)
    with transaction(sessions) as session:
        assert service.send_unsent(session) == [UUID(run_id)]
    assert broker() == [run_id]
    with transaction(sessions) as session:
        assert service.send_unsent(session) == []
        assert service.send_unsent(session, resend_seconds=0) == [UUID(run_id)]


def test_the_same_key_and_body_give_the_same_run(api: TestClient, broker: Read) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = api.post(RUNS, json=TRAIN, headers=headers)
    second = api.post(RUNS, json=TRAIN, headers=headers)
    assert (second.status_code, second.json()) == (201, first.json())
    assert second.headers["location"] == first.headers["location"]
    assert len(api.get(RUNS).json()["data"]) == 1
    assert len(broker()) == 1


def test_the_same_key_with_another_body_is_refused(api: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    api.post(RUNS, json=TRAIN, headers=headers)
    other = {"config": TRAIN["config"] | {"num_steps": 6}}
    body = problem(api.post(RUNS, json=other, headers=headers), 422, "malformed")
    assert body["errors"][0]["pointer"] == "/header/Idempotency-Key"


def test_a_key_that_is_sent_twice_at_once_makes_one_run(api: TestClient) -> None:
    ids: list[str] = []
    post = lambda: ids.append(api.post(RUNS, json=TRAIN, headers={"Idempotency-Key": "k"}).json()["id"])  # noqa: E731
    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1


def test_a_refused_request_does_not_use_its_key_up(api: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    problem(api.post(RUNS, json=TRAIN | {"parent_run_id": str(uuid4())}, headers=headers), 404, "not_found")
    assert api.post(RUNS, json=TRAIN, headers=headers).status_code == 201


def test_a_wrong_value_is_refused_with_a_pointer_to_it(api: TestClient) -> None:
    wrong = {"config": {"kind": "train", "rollout": {"group_size": 1}, "nonsense": 1}, "tags": ["a", ""]}
    body = problem(api.post(RUNS, json=wrong), 422, "malformed")
    pointers = {each["pointer"] for each in body["errors"]}
    assert pointers == {"/config/rollout/group_size", "/config/nonsense", "/tags/1"}


def test_settings_that_do_not_fit_together_are_refused_in_plain_words(api: TestClient) -> None:
    config = {
        "kind": "train",
        "grpo": {"step_selection": "last", "num_selected_steps": 9},
        "sampling": {"num_unmasking_steps": 8},
    }
    body = problem(api.post(RUNS, json={"config": config}), 422, "malformed")
    assert body["errors"][0]["message"].startswith("grpo.num_selected_steps is 9")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"'])
def test_a_body_that_is_no_run_is_refused(api: TestClient, content: bytes) -> None:
    response = api.post(RUNS, content=content, headers={"Content-Type": "application/json"})
    problem(response, 422, "malformed")


def test_a_nul_in_a_name_is_refused(api: TestClient) -> None:
    problem(api.post(RUNS, json={"config": {"kind": "train", "name": "a\x00"}}), 422, "malformed")


def test_an_unknown_run_is_not_found(api: TestClient) -> None:
    run_id = uuid4()
    assert str(run_id) in problem(api.get(f"{RUNS}/{run_id}"), 404, "not_found")["detail"]
    for verb in ("cancel", "pause", "resume", "save-checkpoint", "sample-now", "clone"):
        problem(api.post(f"{RUNS}/{run_id}/{verb}"), 404, "not_found")
    for part in ("events", "events/stream", "metrics", "groups", "groups/steps", "checkpoints", "log"):
        problem(api.get(f"{RUNS}/{run_id}/{part}"), 404, "not_found")


def test_an_id_that_is_none_is_malformed(api: TestClient) -> None:
    problem(api.get(f"{RUNS}/seven"), 422, "malformed")


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


@pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WyJhIiwiYiJd"])
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
    parent = api.post(RUNS, json=TRAIN | {"tags": ["t"], "recipe": "r"}).json()
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
