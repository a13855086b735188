"""What the door refuses for a reason that nobody foresaw reaches the owner's log, with the rater's id."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask


def put(api: TestClient, rater: dict[str, str], pair: str, **changes: Any) -> Any:
    body = {"pair_id": pair, "choice": "left", "latency_ms": 900} | changes
    return api.put(f"{DOOR}/votes/{uuid4()}", json=body, headers=rater)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "backend.preferences.refusals")
    return caplog


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency_ms": -1}, "latency_ms"),
        ({"guideline_version": 9}, "the newest is 1"),
        ({"pair": str(uuid4())}, "no pair"),
    ],
)
def test_an_unforeseen_refusal_is_logged_with_who_and_why(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, told: Any, change: dict[str, Any], words: str
) -> None:
    task = make_task()
    rater = make_rater(task)
    [row] = api.get(f"{TASKS}/{task['id']}/raters").json()["data"]
    pair = api.get(f"{DOOR}/next", headers=rater).json()["data"][0]["pair_id"]
    assert put(api, rater, **({"pair": pair} | change)).status_code == 422
    [record] = [each for each in told.records if each.name == "backend.preferences.refusals"]
    assert row["id"] in record.getMessage()
    assert words in record.getMessage()
    assert rater["Authorization"].split()[1] not in told.text, "a log holds no key"


def test_what_loses_nothing_has_a_code_of_its_own_and_no_line_in_the_log(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, told: Any
) -> None:
    rater = make_rater(make_task())
    pair = api.get(f"{DOOR}/next", headers=rater).json()["data"][0]["pair_id"]
    assert put(api, rater, pair).status_code == 200
    answers = [put(api, rater, pair), put(api, {"Authorization": "Bearer rater_guess"}, pair)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (409, "already_voted"),
        (403, "link_shut"),
    ]
    assert api.delete(f"{DOOR}/votes/{uuid4()}", headers=rater).status_code == 404
    assert told.records == []
