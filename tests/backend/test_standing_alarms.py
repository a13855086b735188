"""The alarms of a run that still stand: however long ago they were told, each once, and after a resume too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.schemas.event import Alarm, AlarmCode, Body, JobStarted, Severity, StepFinished
from worker import recorder

Tell = Callable[..., None]


def step(number: int, standing: tuple[str, ...] | None) -> StepFinished:
    return StepFinished(step=number, num_steps=300, metrics={}, seconds=0.1, standing=standing)


def alarm(code: AlarmCode, number: int, subject: str = "", message: str = "Look.") -> Alarm:
    return Alarm(code=code, severity=Severity.WARNING, message=message, cure="Go back.", step=number, subject=subject)


@pytest.fixture
def row(make_run: Callable[..., RunRow]) -> RunRow:
    return make_run(worker="w")


@pytest.fixture
def tell(sessions: sessionmaker[Session], row: RunRow) -> Tell:
    """Records events as a job tells them."""

    def record(*bodies: Body) -> None:
        for body in bodies:
            with transaction(sessions) as session:
                seq = session.get_one(RunRow, row.id).num_events
                recorder.record(session, row.id, row.attempt, body, seq)

    return record


def standing(api: TestClient, row: RunRow) -> list[tuple[str, str, int]]:
    page = api.get(f"/api/v1/runs/{row.id}/alarms").json()
    assert page["has_more"] is False
    return [(each["body"]["code"], each["body"]["subject"], each["body"]["step"]) for each in page["data"]]


def test_an_alarm_is_there_as_long_as_the_newest_step_says_so(api: TestClient, row: RunRow, tell: Tell) -> None:
    both = ("dominant_reward dense", "entropy_collapse")
    tell(step(1, both), alarm("entropy_collapse", 1), alarm("dominant_reward", 1, "dense"))
    tell(*(step(number, both) for number in range(2, 130)))
    assert standing(api, row) == [("dominant_reward", "dense", 1), ("entropy_collapse", "", 1)]
    tell(step(130, both[:1]))
    assert standing(api, row) == [("dominant_reward", "dense", 1)]
    tell(step(131, both), alarm("entropy_collapse", 131))
    assert standing(api, row) == [("entropy_collapse", "", 131), ("dominant_reward", "dense", 1)]


def test_what_a_resumed_attempt_tells_again_is_there_once(api: TestClient, row: RunRow, tell: Tell) -> None:
    tell(step(1, ()), step(2, ("near_duplicates",)), alarm("near_duplicates", 2))
    tell(JobStarted(from_step=1, num_steps=300))
    assert standing(api, row) == [("near_duplicates", "", 2)]
    tell(step(2, ("near_duplicates",)), alarm("near_duplicates", 2))
    assert standing(api, row) == [("near_duplicates", "", 2)]


def test_a_probes_alarm_stands_before_the_next_step_and_what_is_said_of_settings_for_good(
    api: TestClient, row: RunRow, tell: Tell
) -> None:
    settings = [alarm("setting_without_effect", 1, message=message) for message in ("One.", "Two.")]
    tell(step(1, ()), *settings, step(2, ()), alarm("heldout_regression", 2))
    once = [("setting_without_effect", "", 1)] * 2
    assert standing(api, row) == [("heldout_regression", "", 2), *once]
    tell(step(3, ()))
    assert standing(api, row) == once


def test_of_a_run_whose_steps_do_not_tell_every_alarm_is_there_as_it_was_told_last(
    api: TestClient, row: RunRow, tell: Tell
) -> None:
    tell(step(1, None), alarm("entropy_collapse", 1), step(2, None), alarm("entropy_collapse", 2), step(3, None))
    assert standing(api, row) == [("entropy_collapse", "", 2)]


def test_a_run_that_is_not_there_is_not_found(api: TestClient, row: RunRow) -> None:
    assert api.get(f"/api/v1/runs/{row.id}/alarms").json()["data"] == []
    assert api.get("/api/v1/runs/01a22073-2535-709b-bc33-e0106b963bae/alarms").status_code == 404
