"""Gold pairs of one's own: two pictures each, named once, and shown to nobody a second time as plain pairs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from backend.models import SampleRow
from tests.backend.preferences.conftest import TASKS, MakeTask
from tests.backend.preferences.test_label_tasks import Sessions, pairs_of


@pytest.fixture
def found(api: TestClient, evaluation: str) -> list[dict[str, Any]]:
    """The evaluation's pairs of samples."""
    pairs: list[dict[str, Any]] = api.get(f"/api/v1/evaluations/{evaluation}/pairs?limit=100").json()["data"]
    return pairs


def own(pair: dict[str, Any], first: str = "policy", second: str = "base", known: str = "0") -> dict[str, str]:
    return {"sample_0": pair[first]["id"], "sample_1": pair[second]["id"], "known": known}


def refusal(api: TestClient, evaluation: str, *gold: dict[str, str]) -> dict[str, str]:
    source = {"kind": "evaluation", "run_id": evaluation}
    answer = api.post(TASKS, json={"name": "Task", "source": source, "gold_pairs": gold})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["message"] in answer.json()["detail"]
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize("second", [("policy", "base"), ("base", "policy")])
def test_a_pair_named_twice_is_refused_whichever_picture_stands_first(
    api: TestClient, evaluation: str, found: list[dict[str, Any]], second: tuple[str, str]
) -> None:
    error = refusal(api, evaluation, own(found[1]), own(found[0]), own(found[1], *second))
    assert error == {"pointer": "/gold_pairs/2", "message": "has the samples of gold pair 0: name each pair once"}


def test_one_sample_twice_is_no_pair(api: TestClient, evaluation: str, found: list[dict[str, Any]]) -> None:
    error = refusal(api, evaluation, own(found[0]), own(found[1], "policy", "policy"))
    assert error["pointer"] == "/gold_pairs/1"
    assert "are one picture: name two that differ" in error["message"]


def test_two_samples_of_equal_pictures_are_no_pair(
    api: TestClient, evaluation: str, found: list[dict[str, Any]], sessions: Sessions
) -> None:
    with sessions.begin() as session:
        first = session.get_one(SampleRow, UUID(found[0]["policy"]["id"]))
        session.get_one(SampleRow, UUID(found[0]["base"]["id"])).image_sha256 = first.image_sha256
    assert "are one picture" in refusal(api, evaluation, own(found[0]))["message"]


def test_pictures_of_two_prompts_are_told_with_their_place(
    api: TestClient, evaluation: str, found: list[dict[str, Any]]
) -> None:
    other = next(each for each in found if each["prompt"] != found[0]["prompt"])
    mixed = own(found[0]) | {"sample_1": other["base"]["id"]}
    assert refusal(api, evaluation, own(other), mixed)["pointer"] == "/gold_pairs/1"


@pytest.mark.parametrize("sides", [("policy", "base"), ("base", "policy")])
def test_a_named_pair_is_no_plain_one_and_no_gold_by_its_rewards(
    make_task: MakeTask, found: list[dict[str, Any]], sessions: Sessions, sides: tuple[str, str]
) -> None:
    task = make_task(gold_pairs=[own(found[0], *sides)], gold={"num_pairs": 3, "least_gap": 0.9})
    pairs = pairs_of(sessions, task)
    shown = [frozenset((pair.side_0["sample_id"], pair.side_1["sample_id"])) for pair in pairs]
    assert (task["num_pairs"], task["num_gold"], len(set(shown))) == (4, 4, 8)


def test_a_task_of_nothing_but_named_gold_is_refused(
    api: TestClient, evaluation: str, found: list[dict[str, Any]]
) -> None:
    error = refusal(api, evaluation, *map(own, found))
    assert error["pointer"] == "/gold_pairs"
    assert error["message"] == "all 8 pairs of the source would be gold: ask for fewer than 8"
