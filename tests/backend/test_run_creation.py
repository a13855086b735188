"""Runs are created once, whatever is repeated, and what is wrong is refused with a pointer to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from worker.tasks import requeue_lost_runs

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


def of_recipe(api: TestClient, **changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = api.get("/api/v1/recipes/tiny-shapes").json()["config"]
    return {"config": config | changes, "recipe": "tiny-shapes"}


def test_a_run_says_which_settings_differ_from_its_recipe(api: TestClient) -> None:
    same = api.post(RUNS, json=of_recipe(api)).json()
    assert (same["recipe"], same["recipe_changes"], same["name"]) == ("tiny-shapes", [], "Tiny shapes")
    named = api.post(RUNS, json=of_recipe(api, name="mine")).json()
    assert named["recipe_changes"] == [], "a name changes nothing"
    wanted = of_recipe(api, seed=8, rollout={"num_prompts": 18, "group_size": 4}, rewards=[{"name": "dense"}], name="")
    changed = api.post(RUNS, json=wanted).json()
    assert changed["recipe_changes"] == ["seed", "rewards", "rollout.group_size"]
    assert changed["name"] == "tiny-shapes, changed"
    assert api.get(f"{RUNS}/{changed['id']}").json() == changed
    assert [run["recipe_changes"] for run in api.get(RUNS).json()["data"]] == [changed["recipe_changes"], [], []]
    assert api.post(RUNS, json=TRAIN).json()["recipe_changes"] is None


def test_a_label_that_cannot_be_true_is_refused(api: TestClient) -> None:
    unknown = problem(api.post(RUNS, json=TRAIN | {"recipe": "r"}), 422, "malformed")
    assert unknown["errors"][0]["pointer"] == "/recipe"
    assert "there is no train recipe 'r': leave `recipe` out, or name one of " in unknown["detail"]
    other = problem(api.post(RUNS, json=TRAIN | {"recipe": "pictures"}), 422, "malformed")
    assert "there is no train recipe 'pictures'" in other["detail"]
    assert api.get(RUNS).json()["data"] == []


def test_a_clone_keeps_only_a_recipe_that_is_one_of_its_kind(api: TestClient, sessions: sessionmaker[Session]) -> None:
    parent = api.post(RUNS, json=of_recipe(api)).json()
    clone = api.post(f"{RUNS}/{parent['id']}/clone", json={"config": parent["config"] | {"num_steps": 9}}).json()
    assert (clone["recipe"], clone["recipe_changes"]) == ("tiny-shapes", ["num_steps"])
    other = api.post(f"{RUNS}/{parent['id']}/clone", json={"config": {"kind": "sample"}}).json()
    assert (other["kind"], other["recipe"]) == ("sample", None)
    with transaction(sessions) as session:
        session.execute(text("UPDATE run SET recipe = 'gone' WHERE id = :id"), {"id": parent["id"]})
    old = api.get(f"{RUNS}/{parent['id']}").json()
    assert (old["recipe"], old["recipe_changes"]) == ("gone", None)
    assert api.post(f"{RUNS}/{parent['id']}/clone").json()["recipe"] is None


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
    requeue_lost_runs(sessions)
    assert broker() == [run_id]
    # What has reached the broker is sent again only when it must be feared lost.
    requeue_lost_runs(sessions)
    assert broker() == []
    with transaction(sessions) as session:
        assert runs.list_unsent(session, resend_seconds=0) == [UUID(run_id)]


def test_a_database_that_breaks_after_the_commit_does_not_deny_the_run(
    api: TestClient, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session: Session, *, run_id: UUID) -> None:
        raise OperationalError("UPDATE", None, Exception("away"))

    monkeypatch.setattr(runs, "mark_sent", fail)
    response = api.post(RUNS, json=TRAIN)
    assert response.status_code == 201
    with transaction(sessions) as session:
        assert runs.list_unsent(session) == [UUID(response.json()["id"])], "the watch sends it again"


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


def test_what_was_refused_is_named_with_its_value_also_where_it_is_the_whole_body(api: TestClient) -> None:
    wrong = {"config": {"kind": "train", "num_steps": 0}}
    body = problem(api.post(RUNS, json=wrong), 422, "malformed")
    assert body["detail"] == "/config/num_steps: must be at least 1, not 0"
    body = problem(api.post(RUNS, json=7), 422, "malformed")
    assert body["detail"].startswith("the body: must be")
    assert body["detail"].endswith(", not 7")


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


def test_a_run_of_an_older_version_is_still_shown(api: TestClient, sessions: sessionmaker[Session]) -> None:
    run = api.post(RUNS, json=TRAIN).json()
    with transaction(sessions) as session:
        session.execute(
            text("UPDATE run SET config = jsonb_set(config, '{rollout,gone}', '1') || '{\"gone\": 1}' WHERE id = :id"),
            {"id": run["id"]},
        )
    assert api.get(RUNS).json()["data"] == [run]


def test_times_are_in_utc_whatever_zone_the_database_has(api: TestClient, sessions: sessionmaker[Session]) -> None:
    run_id = api.post(RUNS, json=TRAIN).json()["id"]
    with sessions() as session:
        session.execute(text("SET LOCAL TIME ZONE 'Asia/Kolkata'"))
        row = runs.get_run(session, run_id=UUID(run_id))
        assert row.created_at.utcoffset() != timedelta(0)
        assert '"created_at":"' + api.get(f"{RUNS}/{run_id}").json()["created_at"] in row.to_wire().model_dump_json()
    assert api.get(f"{RUNS}/{run_id}").json()["created_at"].endswith("Z")
