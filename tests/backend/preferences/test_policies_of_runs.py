"""Two runs are paired by one policy of each: an evaluation has made pictures by several of one prompt and seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from backend.models import GroupRow, RunRow
from backend.preferences.pictures import pictures_of
from backend.schemas.sample import GroupRecord
from tests.backend.preferences.conftest import TASKS
from tests.backend.preferences.test_label_tasks import Sessions, pairs_of

NUM_PROMPTS = 3
LABELS = ("base", "policy", "x", "y")


@pytest.fixture
def source(
    make_run: Callable[..., Any], make_group: Callable[..., GroupRecord], add: Callable[..., None]
) -> dict[str, Any]:
    """Two evaluations of the same prompts and seeds by four policies each, stored in an order of no meaning."""
    ids = []
    for number, name in enumerate(("one", "two")):
        ids.append(make_run(name=name).id)
        for label in (*LABELS[2:], *LABELS[:2]):
            groups = [make_group(index=index, policy=label, prompt=f"prompt {index}") for index in range(NUM_PROMPTS)]
            add(ids[-1], *(_of_policy(each, 10 * number + LABELS.index(label)) for each in groups), purpose="evaluate")
    return {"kind": "runs", "run_id": str(ids[0]), "other_run_id": str(ids[1])}


def _of_policy(group: GroupRecord, number: int) -> GroupRecord:
    """The group with pictures that tell which policy made them."""
    changes = [
        {"image_path": f"samples/{group.policy}/{number}-{each.index}.png", "image_sha256": f"{number:064x}"}
        for each in group.samples
    ]
    samples = (each.model_copy(update=of_one) for each, of_one in zip(group.samples, changes, strict=True))
    return group.model_copy(update={"samples": tuple(samples)})


def whose(sessions: Sessions, task: dict[str, Any]) -> list[set[tuple[str, str]]]:
    """Of each side, what made it as the pair tells it, and as its path does."""
    pairs = pairs_of(sessions, task)
    assert len(pairs) == 2 * NUM_PROMPTS, "both seeds of every prompt"
    return [{(each["policy"], each["image_path"].split("/")[1]) for each in sides} for sides in _sides(pairs)]


def _sides(pairs: list[Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [each.side_0 for each in pairs], [each.side_1 for each in pairs]


def test_pairs_of_two_runs_are_the_policys_alone(api: TestClient, source: dict[str, Any], sessions: Sessions) -> None:
    task = api.post(TASKS, json={"name": "Runs", "source": source}).json()
    assert whose(sessions, task) == [{("one", "policy")}, {("two", "policy")}]


def test_any_policy_of_each_can_be_named_and_the_pair_tells_it(
    api: TestClient, source: dict[str, Any], sessions: Sessions
) -> None:
    task = api.post(TASKS, json={"name": "Runs", "source": source | {"run_policies": ["x", "base"]}}).json()
    assert whose(sessions, task) == [{("one (x)", "x")}, {("two (base)", "base")}]
    assert task["source"]["run_policies"] == ["x", "base"]


def test_a_policy_that_made_nothing_is_refused_with_those_that_did(api: TestClient, source: dict[str, Any]) -> None:
    answer = api.post(TASKS, json={"name": "Runs", "source": source | {"run_policies": ["z", "policy"]}})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/source/run_policies"
    assert "no pictures by 'z' outside training: name one of base, policy, x, y" in error["message"]


def test_policies_of_runs_are_for_runs_alone(api: TestClient, source: dict[str, Any]) -> None:
    wanted = {"kind": "sampling", "run_id": source["run_id"], "run_policies": ["x", "policy"]}
    answer = api.post(TASKS, json={"name": "Runs", "source": wanted})
    assert (answer.status_code, "for kind runs only" in answer.text) == (422, True)


def test_of_one_place_pictures_come_in_the_order_of_their_policies(
    api: TestClient, source: dict[str, Any], sessions: Sessions
) -> None:
    with sessions() as session:
        run = session.get_one(RunRow, UUID(source["run_id"]))
        found = pictures_of(session, run, GroupRow.purpose == "evaluate", lambda group: group.policy)
    assert [each.policy for each in found] == NUM_PROMPTS * [label for label in LABELS for _ in range(2)]
