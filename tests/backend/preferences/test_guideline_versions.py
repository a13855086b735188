"""A vote knows the guideline that its rater had read, also where the owner has written a newer one meanwhile."""

from __future__ import annotations

from uuid import uuid4

from fastapi.testclient import TestClient

from tests.backend.preferences.conftest import TASKS, MakeRater, MakeTask
from tests.backend.preferences.test_rating import next_pairs, vote, votes_of


def test_a_vote_keeps_the_version_that_was_read(api: TestClient, make_task: MakeTask, make_rater: MakeRater) -> None:
    task = make_task()
    rater = make_rater(task)
    pair, key = next_pairs(api, rater)[0]["pair_id"], uuid4()
    api.patch(f"{TASKS}/{task['id']}", json={"guideline": "Another."})
    first = vote(api, rater, pair, key=key, guideline_version=1)
    again = vote(api, rater, pair, key=key, guideline_version=1)
    assert (first.status_code, again.json()) == (200, first.json())
    assert vote(api, rater, pair, key=key, guideline_version=2).status_code == 409
    assert [each["guideline_version"] for each in votes_of(api, task)] == [1]


def test_a_version_that_is_not_written_yet_is_refused(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    rater = make_rater(make_task())
    answer = vote(api, rater, next_pairs(api, rater)[0]["pair_id"], guideline_version=2)
    assert answer.status_code == 422
    assert "is 2, and the newest is 1" in answer.json()["errors"][0]["message"]
