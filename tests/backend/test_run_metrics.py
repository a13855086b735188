"""A run's metrics: thinned evenly, as deltas, and by key."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import MetricRow, RunRow
from backend.runs import repository as runs

Sessions = sessionmaker[Session]
MakeRun = Callable[..., RunRow]


def url(run_id: UUID, part: str) -> str:
    return f"/api/v1/runs/{run_id}/{part}"


def fill_metrics(sessions: Sessions, row: RunRow, num_steps: int) -> None:
    with transaction(sessions) as session:
        values = [
            {"run_id": row.id, "step": step, "values": {"reward": step / 2, "loss": None}}
            for step in range(1, num_steps + 1)
        ]
        session.execute(insert(MetricRow), values)


def test_metrics_are_thinned_evenly_and_keep_the_newest_step(
    api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    row = make_run(worker="w")
    fill_metrics(sessions, row, 4501)
    series = api.get(url(row.id, "metrics")).json()
    steps = [point["step"] for point in series["points"]]
    assert series["is_downsampled"]
    assert len(steps) <= 2000
    assert (steps[-1], series["last_step"]) == (4501, 4501)
    assert {after - before for before, after in pairwise(steps)} == {3}
    assert series["points"][-1]["values"] == {"reward": 2250.5, "loss": None}
    few = api.get(url(row.id, "metrics"), params={"max_points": 1}).json()
    assert [point["step"] for point in few["points"]] == [4501]


def test_metrics_come_as_deltas_and_by_key(api: TestClient, sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    fill_metrics(sessions, row, 10)
    series = api.get(url(row.id, "metrics"), params={"after_step": 8, "keys": "reward, nothing"}).json()
    assert series["points"] == [{"step": 9, "values": {"reward": 4.5}}, {"step": 10, "values": {"reward": 5.0}}]
    assert (series["keys"], series["is_downsampled"]) == (["reward"], False)
    nothing = api.get(url(row.id, "metrics"), params={"after_step": 10}).json()
    assert (nothing["points"], nothing["last_step"]) == ([], 10)


def test_what_few_steps_have_is_thinned_among_these_steps(
    api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    row = make_run(worker="w")
    fill_metrics(sessions, row, 40)
    with transaction(sessions) as session:
        for step in range(0, 41, 10):
            scores = {"heldout/strict": step / 100}
            runs.record_scores(session, run_id=row.id, attempt=1, step=step, values=scores)
    asked = {"keys": "heldout/strict", "max_points": 10}
    series = api.get(url(row.id, "metrics"), params=asked).json()
    assert [(point["step"], point["values"]) for point in series["points"]] == [
        (step, {"heldout/strict": step / 100}) for step in range(0, 41, 10)
    ]
    assert not series["is_downsampled"]


@pytest.mark.parametrize("params", [{"max_points": 2001}, {"max_points": 0}, {"after_step": -2}, {"after_step": 2**40}])
def test_metric_bounds_are_kept(api: TestClient, make_run: MakeRun, params: dict[str, int]) -> None:
    assert api.get(url(make_run().id, "metrics"), params=params).status_code == 422
