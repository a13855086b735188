"""Raters over REST: one of a repeated request, with a link that no database knows; edits that tell of others."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import select

from backend.models import IdempotencyRow
from tests.backend.preferences.conftest import DOOR, TASKS, MakeTask
from tests.backend.preferences.test_label_tasks import Sessions

KEY = "8f3c0a2e-4f0b-4d5e-9a53-6a4be0b5a7d1"


def add(api: TestClient, task: dict[str, Any], label: str = "Ada", key: str | None = KEY) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post(f"{TASKS}/{task['id']}/raters", json={"label": label}, headers=headers)


def test_a_repeated_request_is_one_rater_with_one_link_that_opens(api: TestClient, make_task: MakeTask) -> None:
    task = make_task()
    first, second = add(api, task), add(api, task)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(api.get(f"{TASKS}/{task['id']}/raters").json()["data"]) == 1
    assert first.headers["Location"] == f"/api/v1/raters/{first.json()['id']}"
    door = api.get(DOOR, headers={"Authorization": f"Bearer {second.json()['token']}"})
    assert door.status_code == 200


def test_another_key_and_none_make_raters_of_their_own(api: TestClient, make_task: MakeTask) -> None:
    task = make_task()
    tokens = {add(api, task, key=key).json()["token"] for key in (KEY, "another", None, None)}
    assert len(tokens) == 4


def test_a_key_of_another_request_is_refused_and_named(api: TestClient, make_task: MakeTask) -> None:
    task = make_task()
    add(api, task)
    answer = add(api, task, "Bob")
    assert answer.status_code == 422
    assert f"Idempotency-Key '{KEY}' came with another request" in answer.json()["detail"]
    assert add(api, make_task()).status_code == 422, "another task's rater is another request"


def test_the_database_knows_neither_the_key_nor_the_token(
    api: TestClient, make_task: MakeTask, sessions: Sessions
) -> None:
    token = add(api, make_task()).json()["token"]
    with sessions() as session:
        [kept] = session.scalars(select(IdempotencyRow))
    told = f"{kept.key} {kept.response}"
    assert KEY not in told
    assert token not in told
    assert token.removeprefix("rater_") not in told


def test_an_edit_of_a_state_that_is_no_more_is_refused(api: TestClient, make_task: MakeTask) -> None:
    path = f"/api/v1/raters/{add(api, make_task()).json()['id']}"
    etag = api.get(path).headers["ETag"]
    edited = api.patch(path, json={"label": "Ada L."}, headers={"If-Match": etag})
    assert (edited.status_code, edited.json()["label"]) == (200, "Ada L.")
    late = api.patch(path, json={"is_revoked": True}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "outdated")
    found = api.get(path)
    assert (found.json()["is_revoked"], found.headers["ETag"]) == (False, edited.headers["ETag"])
    for if_match in (edited.headers["ETag"], "*"):
        assert api.patch(path, json={"is_revoked": True}, headers={"If-Match": if_match}).status_code == 200
    assert api.patch(path, json={"is_revoked": False}).json()["is_revoked"] is False


def test_a_rater_who_is_not_there_is_told(api: TestClient) -> None:
    answer = api.get("/api/v1/raters/01890000-0000-7000-8000-000000000001")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
