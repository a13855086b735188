"""The short way of votes and pairs to the database: as safe as the long one when links go or servers restart."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import begun, in_lane, transaction
from backend.preferences import serving
from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask


def ask(api: TestClient, rater: dict[str, str], count: int = 2) -> Any:
    return api.get(f"{DOOR}/next", params={"count": count}, headers=rater)


def put(api: TestClient, rater: dict[str, str], pair: str) -> Any:
    body = {"pair_id": pair, "choice": "left", "latency_ms": 900}
    return api.put(f"{DOOR}/votes/{uuid4()}", json=body, headers=rater)


def test_a_link_that_was_good_a_moment_ago_opens_nothing_once_it_is_withdrawn(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    first, second = ask(api, rater).json()["data"]
    assert put(api, rater, first["pair_id"]).status_code == 200
    assert api.get(second["left_url"], headers=rater).status_code == 200
    [row] = api.get(f"{TASKS}/{task['id']}/raters").json()["data"]
    api.patch(f"/api/v1/raters/{row['id']}", json={"is_revoked": True})
    answers = [ask(api, rater), put(api, rater, second["pair_id"]), api.get(second["left_url"], headers=rater)]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "link_shut")] * 3
    assert len(api.get(f"{TASKS}/{task['id']}/votes").json()["data"]) == 1
    api.patch(f"/api/v1/raters/{row['id']}", json={"is_revoked": False})
    assert put(api, rater, second["pair_id"]).status_code == 200


def test_a_restarted_server_costs_no_vote_and_no_pair(
    app: FastAPI, api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: sessionmaker[Session]
) -> None:
    rater = make_rater(make_task())
    for _ in range(2):
        pair = ask(api, rater).json()["data"][0]
        # One request at a time needs one connection, so it is this one that the vote would use.
        used = in_lane(
            app.state.lane, lambda connection: connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        )
        with transaction(sessions) as session:
            session.execute(text("SELECT pg_terminate_backend(:used)"), {"used": used})
        assert put(api, rater, pair["pair_id"]).status_code == 200
        assert ask(api, rater).status_code == 200


def test_what_fails_in_a_transaction_of_the_lane_leaves_nothing_behind(app: FastAPI, sessions: Any) -> None:
    lane = app.state.lane

    def fail(connection: Any) -> None:
        with begun(connection):
            connection.exec_driver_sql("CREATE TABLE half (id int)")
            connection.exec_driver_sql("SELECT no_such_column")

    with pytest.raises(ProgrammingError):
        in_lane(lane, fail)
    found = in_lane(lane, lambda connection: connection.exec_driver_sql("SELECT to_regclass('half')").scalar())
    assert found is None


def test_where_the_most_informative_pairs_are_being_given_to_others_the_next_one_is_found(
    api: TestClient,
    make_task: MakeTask,
    make_rater: MakeRater,
    sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "_NUM_FEW", 0)
    rater = make_rater(make_task(strategy="most_informative"))
    first = ask(api, rater, 1).json()["data"][0]["pair_id"]
    with transaction(sessions) as session:
        session.execute(text("DELETE FROM pair_hold"))
    with transaction(sessions) as session:
        session.execute(text("SELECT id FROM label_pair WHERE id = :id FOR UPDATE"), {"id": first})
        [other] = ask(api, rater, 1).json()["data"]
    assert other["pair_id"] != first
