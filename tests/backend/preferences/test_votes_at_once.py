"""Many at the same moment: votes of one UUID, two tabs on one pair, and raters who want the last pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from fastapi.testclient import TestClient

from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask
from tests.backend.preferences.test_rating import vote, votes_of

Given, Got = TypeVar("Given"), TypeVar("Got")
NUM_AT_ONCE = 8


def at_once(work: Callable[[Given], Got], given: Sequence[Given]) -> list[Got]:
    """What each call gives; all of them begin together."""
    start = Barrier(len(given))

    def begin(each: Given) -> Got:
        start.wait()
        return work(each)

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(begin, given))


def first_pairs(api: TestClient, rater: dict[str, str], count: int = 1) -> list[str]:
    answer = api.get(f"{DOOR}/next", params={"count": count}, headers=rater)
    assert answer.status_code == 200, answer.text
    return [pair["pair_id"] for pair in answer.json()["data"]]


def test_one_vote_that_arrives_many_times_at_once_is_one(
    studio: str, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    [pair] = first_pairs(api, rater)
    body, address = {"pair_id": pair, "choice": "left", "latency_ms": 900}, f"{studio}{DOOR}/votes/{uuid4()}"
    answers = at_once(lambda _: httpx.put(address, json=body, headers=rater, trust_env=False), list(range(NUM_AT_ONCE)))
    assert [answer.status_code for answer in answers] == [200] * NUM_AT_ONCE
    assert len({answer.text for answer in answers}) == 1
    assert len(votes_of(api, task)) == api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == 1


def test_of_many_tabs_on_one_pair_one_vote_stands(
    studio: str, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    [pair] = first_pairs(api, rater)
    body = {"pair_id": pair, "choice": "right", "latency_ms": 900}
    ids = [str(uuid4()) for _ in range(NUM_AT_ONCE)]
    answers = at_once(
        lambda key: httpx.put(f"{studio}{DOOR}/votes/{key}", json=body, headers=rater, trust_env=False), ids
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: NUM_AT_ONCE - 1}
    [stored] = votes_of(api, task)
    assert stored["id"] == next(answer.json()["id"] for answer in answers if answer.status_code == 200)
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert "undo that vote first" in refused["detail"]


def test_one_uuid_for_two_pairs_at_once_is_one_vote_and_a_refusal(
    studio: str, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task()
    rater = make_rater(task)
    pairs = first_pairs(api, rater, 4)
    address = f"{studio}{DOOR}/votes/{uuid4()}"

    def put(pair: str) -> int:
        body = {"pair_id": pair, "choice": "left", "latency_ms": 900}
        return httpx.put(address, json=body, headers=rater, trust_env=False).status_code

    assert Counter(at_once(put, pairs)) == {200: 1, 409: 3}
    assert len(votes_of(api, task)) == 1


def test_nobody_is_told_done_while_a_pair_is_open_to_them(
    studio: str, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    num_raters, num_pairs = 12, 3
    task = make_task(num_pairs=num_pairs, votes_per_pair=num_raters)
    raters = [make_rater(task, f"rater {number}") for number in range(num_raters)]

    def vote_on_all(rater: dict[str, str]) -> int:
        num_votes = 0
        with httpx.Client(base_url=studio, headers=rater, trust_env=False, timeout=30) as client:
            while pairs := client.get(f"{DOOR}/next", params={"count": 1}).raise_for_status().json()["data"]:
                body = {"pair_id": pairs[0]["pair_id"], "choice": "tie", "latency_ms": 5}
                client.put(f"{DOOR}/votes/{uuid4()}", json=body).raise_for_status()
                num_votes += 1
        return num_votes

    assert at_once(vote_on_all, raters) == [num_pairs] * num_raters
    assert api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == num_raters * num_pairs


def test_no_pair_is_given_to_more_raters_than_it_wants(
    studio: str, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(num_pairs=4, votes_per_pair=2)
    raters = [make_rater(task, f"rater {number}") for number in range(NUM_AT_ONCE)]

    def ask(rater: dict[str, str]) -> list[str]:
        found: dict[str, Any] = httpx.get(f"{studio}{DOOR}/next?count=4", headers=rater, trust_env=False).json()
        return [pair["pair_id"] for pair in found["data"]]

    given = Counter(pair for pairs in at_once(ask, raters) for pair in pairs)
    assert sorted(given.values()) == [2, 2, 2, 2], "each pair is in exactly as many hands as it wants votes"


def test_votes_and_their_undoing_at_once_leave_the_pairs_counts_right(
    studio: str, api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(num_pairs=1, votes_per_pair=100)
    raters = [make_rater(task, f"rater {number}") for number in range(NUM_AT_ONCE)]
    [pair] = first_pairs(api, raters[0])

    def change_mind(rater: dict[str, str]) -> None:
        for choice in ("left", "skip", "tie", "right"):
            key = uuid4()
            assert vote(api, rater, pair, choice, key=key).status_code == 200
            assert api.delete(f"{DOOR}/votes/{key}", headers=rater).status_code == 200
        assert vote(api, rater, pair, "both_bad").status_code == 200

    at_once(change_mind, raters)
    assert api.get(f"{TASKS}/{task['id']}").json()["num_votes"] == NUM_AT_ONCE
    stored = votes_of(api, task)
    assert (len(stored), sum(each["undone_at"] is None for each in stored)) == (5 * NUM_AT_ONCE, NUM_AT_ONCE)
