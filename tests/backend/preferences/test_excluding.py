"""An excluded rater's votes fill no pair: others are asked instead, and once taken back in the votes count again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask
from tests.backend.preferences.test_rating import next_pairs, vote

Sessions = sessionmaker[Session]


def exclude(api: TestClient, task: dict[str, Any], label: str, *, is_excluded: bool = True) -> None:
    raters = api.get(f"{TASKS}/{task['id']}/raters").json()["data"]
    [rater_id] = [each["id"] for each in raters if each["label"] == label]
    assert api.patch(f"/api/v1/raters/{rater_id}", json={"is_excluded": is_excluded}).status_code == 200


def counts(sessions: Sessions) -> list[tuple[int, float]]:
    with sessions() as session:
        rows = session.execute(text("SELECT num_votes, sum_first FROM label_pair ORDER BY index"))
        return [(num_votes, sum_first) for num_votes, sum_first in rows]


def test_pairs_that_only_an_excluded_rater_voted_on_are_open_to_others(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: Sessions
) -> None:
    task = make_task(votes_per_pair=1)
    spammer, honest = make_rater(task, "spammer"), make_rater(task, "honest")
    choices = ("left", "right", "tie", "both_bad")
    for number, pair in enumerate(next_pairs(api, spammer)):
        assert vote(api, spammer, pair["pair_id"], choices[number % 4]).status_code == 200
    before = counts(sessions)
    assert next_pairs(api, honest) == []
    exclude(api, task, "spammer")
    assert counts(sessions) == [(0, 0)] * 8
    assert api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == 0
    assert len(next_pairs(api, honest)) == 8
    exclude(api, task, "spammer", is_excluded=False)
    assert counts(sessions) == before
    assert {num_votes for num_votes, _ in before} == {1}


def test_what_an_excluded_rater_still_sends_or_takes_back_changes_no_count(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: Sessions
) -> None:
    task = make_task(num_pairs=1)
    spammer, honest = make_rater(task, "spammer"), make_rater(task, "honest")
    [pair] = next_pairs(api, honest)
    assert vote(api, honest, pair["pair_id"], "tie").status_code == 200
    exclude(api, task, "spammer")
    key = uuid4()
    assert vote(api, spammer, pair["pair_id"], key=key).status_code == 200
    assert counts(sessions) == [(1, 0.5)]
    assert api.delete(f"{DOOR}/votes/{key}", headers=spammer).status_code == 200
    assert counts(sessions) == [(1, 0.5)]
    assert vote(api, spammer, pair["pair_id"], "both_bad").status_code == 200
    exclude(api, task, "spammer", is_excluded=False)
    assert counts(sessions) == [(2, 1.0)]


@pytest.mark.parametrize("is_excluded", [True, False])
def test_votes_that_arrive_while_raters_are_excluded_are_counted_right(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: Sessions, is_excluded: bool
) -> None:
    task = make_task(votes_per_pair=100)
    raters = {label: make_rater(task, label) for label in ("one", "two", "three")}
    pairs = [pair["pair_id"] for pair in next_pairs(api, raters["one"])]

    def vote_on_all(label: str) -> None:
        for pair in pairs:
            key = uuid4()
            assert vote(api, raters[label], pair, "both_bad", key=key).status_code == 200
            assert api.delete(f"{DOOR}/votes/{key}", headers=raters[label]).status_code == 200
            assert vote(api, raters[label], pair, "tie").status_code == 200

    def turn(label: str) -> None:
        for number in range(6):
            exclude(api, task, label, is_excluded=number % 2 == is_excluded)

    with ThreadPoolExecutor(5) as pool:
        work = [pool.submit(vote_on_all, label) for label in raters]
        work += [pool.submit(turn, label) for label in ("one", "two")]
        for each in work:
            each.result()
    expected = 1 if is_excluded else 3
    assert counts(sessions) == [(expected, expected / 2)] * 8
