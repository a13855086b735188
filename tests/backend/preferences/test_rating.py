"""The rater's door: blind, shuffled, theirs alone; a vote is neither lost nor counted twice, whatever happens."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask


def next_pairs(api: TestClient, rater: dict[str, str], count: int = 20) -> list[dict[str, str]]:
    answer = api.get(f"{DOOR}/next", params={"count": count}, headers=rater)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["data"]
    return found


def vote(api: TestClient, rater: dict[str, str], pair: str, choice: str = "left", key: Any = None, **more: Any) -> Any:
    body = {"pair_id": pair, "choice": choice, "latency_ms": 900} | more
    return api.put(f"{DOOR}/votes/{key or uuid4()}", json=body, headers=rater)


def votes_of(api: TestClient, task: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"{TASKS}/{task['id']}/votes", params={"limit": 100}).json()["data"]
    return found


def test_a_raters_token_opens_no_other_route(
    app: FastAPI, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    rater = make_rater(make_task())
    opened = []
    for route in app.routes:
        if not isinstance(route, APIRoute) or route.path.startswith(DOOR):
            continue
        path = re.sub(r"\{\w+(:path)?\}", str(uuid4()), route.path)
        for method in route.methods:
            answer = api.request(method, path, headers=rater, follow_redirects=False)
            if answer.status_code != 403:
                opened.append((method, path, answer.status_code))
    assert opened == []
    assert api.get("/api/v1/runs").status_code == 200


def test_without_a_link_or_with_a_withdrawn_one_the_door_stays_shut(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    [row] = api.get(f"{TASKS}/{task['id']}/raters").json()["data"]
    assert "token" not in row
    assert api.get(DOOR, headers=rater).status_code == 200
    api.patch(f"/api/v1/raters/{row['id']}", json={"is_revoked": True})
    for headers in (rater, {}, {"Authorization": "Bearer rater_guess"}, {"Authorization": "Bearer x"}):
        answer = api.get(DOOR, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "link_shut")


def test_sides_are_shuffled_by_rater_and_stay_as_they_are(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(votes_per_pair=100)
    swapped = Counter()
    for number in range(6):
        rater = make_rater(task, f"rater {number}")
        pairs = next_pairs(api, rater)
        looks = [[api.get(pair["left_url"], headers=rater).content for pair in pairs] for _ in range(2)]
        assert looks[0] == looks[1]
        for pair in pairs:
            assert vote(api, rater, pair["pair_id"]).status_code == 200
    for each in votes_of(api, task):
        swapped[each["is_swapped"]] += 1
        assert each["outcome"] == ("1" if each["is_swapped"] else "0")
    assert min(swapped[True], swapped[False]) > 8


def test_a_left_vote_is_for_the_picture_that_stood_left(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, evaluation: str
) -> None:
    task = make_task()
    rater = make_rater(task)
    shades = {}
    for pair in next_pairs(api, rater):
        with Image.open(io.BytesIO(api.get(pair["left_url"], headers=rater).content)) as left:
            shades[pair["pair_id"]] = int(np.asarray(left).flat[0])
        vote(api, rater, pair["pair_id"])
    for each in votes_of(api, task):
        # The policy's pictures are brighter than 100.
        assert (each["outcome"] == "1") == (shades[each["pair_id"]] >= 100)


def test_the_same_vote_any_number_of_times_is_one(api: TestClient, make_task: MakeTask, make_rater: MakeRater) -> None:
    task = make_task()
    rater = make_rater(task)
    pair, other = (each["pair_id"] for each in next_pairs(api, rater)[:2])
    key = uuid4()
    answers = [vote(api, rater, pair, key=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json() == answers[2].json()
    for changed in (vote(api, rater, pair, "right", key), vote(api, rater, other, key=key)):
        assert (changed.status_code, "use a new UUID" in changed.json()["detail"]) == (409, True)
    second = vote(api, rater, pair)
    assert (second.status_code, "undo that vote first" in second.json()["detail"]) == (409, True)
    assert len(votes_of(api, task)) == api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == 1


def test_undo_keeps_history_and_gives_the_pair_back(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    pair, key = next_pairs(api, rater)[0]["pair_id"], uuid4()
    vote(api, rater, pair, key=key)
    first, again = (api.delete(f"{DOOR}/votes/{key}", headers=rater).json() for _ in range(2))
    assert first["undone_at"] == again["undone_at"] is not None
    assert vote(api, rater, pair, key=key).json()["undone_at"] is not None
    assert pair in {each["pair_id"] for each in next_pairs(api, rater)}
    assert vote(api, rater, pair, "tie").status_code == 200
    assert [(each["choice"], each["undone_at"] is None) for each in votes_of(api, task)] == [
        ("left", False),
        ("tie", True),
    ]
    assert api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == 1
    assert api.delete(f"{DOOR}/votes/{uuid4()}", headers=rater).status_code == 404


def test_one_raters_vote_is_nobody_elses(api: TestClient, make_task: MakeTask, make_rater: MakeRater) -> None:
    task = make_task()
    ada, bob = make_rater(task, "Ada"), make_rater(task, "Bob")
    pair, key = next_pairs(api, ada)[0]["pair_id"], uuid4()
    vote(api, ada, pair, key=key)
    assert vote(api, bob, pair, key=key).status_code == 409
    assert api.delete(f"{DOOR}/votes/{key}", headers=bob).status_code == 404
    assert vote(api, make_rater(make_task()), pair).status_code == 422


def test_a_rater_sees_every_pair_once_and_skips_count_for_nothing(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(votes_per_pair=1, gold={"num_pairs": 2})
    rater, seen = make_rater(task), []
    while pairs := next_pairs(api, rater, 3):
        seen.append(pairs[0]["pair_id"])
        vote(api, rater, seen[-1], "skip" if len(seen) == 1 else "both_bad")
    assert len(set(seen)) == len(seen) == 8
    told = api.get(DOOR, headers=rater).json()
    assert (told["num_done"], told["num_wanted"]) == (8, 8)
    assert api.get(f"{TASKS}/{task['id']}").json()["num_votes"] in (5, 6)  # The skipped one may have been gold.
    left_over = next_pairs(api, make_rater(task, "Bob"))
    assert len(left_over) in (2, 3)


def test_raters_at_once_give_each_pair_as_many_votes_as_asked(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(votes_per_pair=2)
    raters = [make_rater(task, f"rater {number}") for number in range(6)]

    def work(rater: dict[str, str]) -> None:
        while pairs := next_pairs(api, rater, 1):
            assert vote(api, rater, pairs[0]["pair_id"]).status_code == 200

    with ThreadPoolExecutor(len(raters)) as pool:
        list(pool.map(work, raters))
    counts = Counter(each["pair_id"] for each in votes_of(api, task))
    assert sorted(counts.values()) == [2] * 8


def test_a_vote_after_its_hold_ran_out_is_kept(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: sessionmaker[Session]
) -> None:
    task = make_task(votes_per_pair=1, num_pairs=1)
    slow, quick = make_rater(task, "slow"), make_rater(task, "quick")
    pair = next_pairs(api, slow)[0]["pair_id"]
    assert next_pairs(api, quick) == []
    with transaction(sessions) as session:
        session.execute(text("UPDATE pair_hold SET expires_at = now() - interval '1 second'"))
    assert next_pairs(api, quick)[0]["pair_id"] == pair
    assert vote(api, quick, pair).status_code == vote(api, slow, pair).status_code == 200
    assert api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == 2


def test_a_closed_task_gives_no_pairs_and_takes_the_votes_on_their_way(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    pair = next_pairs(api, rater)[0]["pair_id"]
    api.patch(f"{TASKS}/{task['id']}", json={"status": "closed"})
    assert api.get(f"{DOOR}/next", headers=rater).status_code == 410
    assert vote(api, rater, pair).status_code == 200
    assert len(votes_of(api, task)) == 1


def test_most_informative_pairs_are_those_without_votes_or_with_contradiction(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: sessionmaker[Session]
) -> None:
    task = make_task(strategy="most_informative", votes_per_pair=10, num_pairs=3)
    with transaction(sessions) as session:
        rows = session.execute(text("SELECT id FROM label_pair ORDER BY index")).scalars().all()
        for pair_id, num_votes, for_first in zip(rows, (4, 4, 0), (4.0, 2.0, 0.0), strict=True):
            session.execute(
                text("UPDATE label_pair SET num_votes = :n, sum_first = :s WHERE id = :id"),
                {"n": num_votes, "s": for_first, "id": pair_id},
            )
    order = [UUID(pair["pair_id"]) for pair in next_pairs(api, make_rater(task))]
    assert order == [rows[2], rows[1], rows[0]]


def test_a_flag_reaches_the_owner_once(api: TestClient, make_task: MakeTask, make_rater: MakeRater) -> None:
    task = make_task()
    rater = make_rater(task)
    pair = next_pairs(api, rater)[0]["pair_id"]
    for _ in range(2):
        body = {"pair_id": pair, "reason": "A picture is broken"}
        answer = api.post(f"{DOOR}/flags", json=body, headers=rater | {"Idempotency-Key": "f"})
        assert answer.status_code == 201
    flags = api.get(f"{TASKS}/{task['id']}/flags").json()["data"]
    assert [(flag["pair_id"], flag["reason"]) for flag in flags] == [(pair, "A picture is broken")]
    assert api.get(f"{TASKS}/{task['id']}").json()["num_flags"] == 1


def test_a_vote_knows_the_guideline_it_was_made_under(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    first, second = (each["pair_id"] for each in next_pairs(api, rater)[:2])
    vote(api, rater, first)
    api.patch(f"{TASKS}/{task['id']}", json={"guideline": "Another."})
    vote(api, rater, second)
    assert [each["guideline_version"] for each in votes_of(api, task)] == [1, 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"choice": "middle"}, "'left', 'right', 'tie'"), ({"latency_ms": -1}, "must be at least 0")],
)
def test_a_vote_that_is_none_is_refused(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, change: dict[str, Any], words: str
) -> None:
    rater = make_rater(make_task())
    answer = vote(api, rater, next_pairs(api, rater)[0]["pair_id"], **change)
    assert (answer.status_code, words in answer.text) == (422, True)


def test_votes_and_pairs_outlive_the_samples_they_were_made_of(
    api: TestClient,
    make_task: MakeTask,
    make_rater: MakeRater,
    evaluation: str,
    add: Callable[..., None],
    make_group: Callable[..., Any],
) -> None:
    task = make_task()
    rater = make_rater(task)
    vote(api, rater, next_pairs(api, rater)[0]["pair_id"])
    # A resumed run stores its groups anew.
    add(UUID(evaluation), *(make_group(index=index, policy="base") for index in range(4)), purpose="evaluate")
    assert len(votes_of(api, task)) == 1
    assert len(next_pairs(api, rater)) == 7
