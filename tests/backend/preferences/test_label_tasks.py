"""Label tasks: pairs of each kind of source, gold among them, a guideline with versions, words for what cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.models import LabelPairRow
from backend.schemas.sample import GroupRecord
from tests.backend.preferences.conftest import TASKS, MakeTask

Sessions = sessionmaker[Session]


def pairs_of(sessions: Sessions, task: dict[str, Any]) -> list[LabelPairRow]:
    with sessions() as session:
        return list(session.scalars(select(LabelPairRow).where(LabelPairRow.label_task_id == UUID(task["id"]))))


def test_a_task_pairs_base_and_policy_of_one_prompt_and_seed(make_task: MakeTask, sessions: Sessions) -> None:
    task = make_task()
    assert (task["num_pairs"], task["num_votes_wanted"], task["status"]) == (8, 24, "open")
    for pair in pairs_of(sessions, task):
        assert (pair.side_0["policy"], pair.side_1["policy"]) == ("base", "policy")
        assert pair.side_0["seed"] == pair.side_1["seed"]


def test_every_prompt_has_its_turn_before_any_has_a_second(make_task: MakeTask, sessions: Sessions) -> None:
    counts = Counter(pair.prompt for pair in pairs_of(sessions, make_task(num_pairs=6)))
    assert sorted(counts.values()) == [1, 1, 2, 2]


def test_gold_is_made_of_the_clearest_pairs_and_comes_on_top(make_task: MakeTask, sessions: Sessions) -> None:
    task = make_task(gold={"num_pairs": 2, "least_gap": 0.9})
    gold = [pair for pair in pairs_of(sessions, task) if pair.is_gold]
    assert (task["num_pairs"], task["num_gold"], task["num_votes_wanted"]) == (6, 2, 18)
    assert {pair.known for pair in gold} == {"1"}
    assert all(pair.side_1["reward"] - pair.side_0["reward"] == 1 for pair in gold)


def test_gold_of_ones_own_is_kept_with_its_answer(
    api: TestClient, make_task: MakeTask, evaluation: str, sessions: Sessions
) -> None:
    pair = api.get(f"/api/v1/evaluations/{evaluation}/pairs?limit=1").json()["data"][0]
    own = {"sample_0": pair["policy"]["id"], "sample_1": pair["base"]["id"], "known": "0"}
    [gold] = [each for each in pairs_of(sessions, make_task(gold_pairs=[own])) if each.is_gold]
    assert (gold.known, gold.side_0["sample_id"], gold.prompt) == ("0", pair["policy"]["id"], pair["prompt"])


def test_no_gold_pair_is_answered_by_a_skip(api: TestClient, evaluation: str) -> None:
    pair = api.get(f"/api/v1/evaluations/{evaluation}/pairs?limit=1").json()["data"][0]
    own = {"sample_0": pair["policy"]["id"], "sample_1": pair["base"]["id"]}
    source = {"kind": "evaluation", "run_id": evaluation}
    wanted = {"name": "Task", "source": source, "gold_pairs": [own | {"known": "0"}, own | {"known": "skip"}]}
    answer = api.post(TASKS, json=wanted)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error == {"pointer": "/gold_pairs/1/known", "message": "must be '0', '1', 'tie' or 'both_bad', not 'skip'"}


def test_a_training_group_gives_all_couples_of_its_samples(
    api: TestClient,
    make_run: Callable[..., Any],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    sessions: Sessions,
) -> None:
    run_id = make_run().id
    add(run_id, make_group(num_samples=4))
    source = {"kind": "within_group", "run_id": str(run_id)}
    task = api.post(TASKS, json={"name": "Within", "source": source}).json()
    assert task["num_pairs"] == 6
    assert len({pair.side_0["sample_id"] for pair in pairs_of(sessions, task)}) > 1


def test_two_steps_of_a_runs_probe_are_paired(
    api: TestClient,
    make_run: Callable[..., Any],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    sessions: Sessions,
) -> None:
    run_id = make_run().id
    add(run_id, *(make_group(step=step, policy="policy") for step in (5, 10, 15)), purpose="probe")
    source: dict[str, Any] = {"kind": "checkpoints", "run_id": str(run_id)}
    first_and_last = api.post(TASKS, json={"name": "Steps", "source": source}).json()
    chosen = api.post(TASKS, json={"name": "Steps", "source": source | {"steps": [5, 10]}}).json()
    policies = [
        {(pair.side_0["policy"], pair.side_1["policy"]) for pair in pairs_of(sessions, task)}
        for task in (first_and_last, chosen)
    ]
    assert policies == [{("step 5", "step 15")}, {("step 5", "step 10")}]


def test_two_runs_are_paired_by_prompt_and_seed(
    api: TestClient,
    make_run: Callable[..., Any],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    sessions: Sessions,
) -> None:
    first, second = make_run(name="one").id, make_run(name="two").id
    add(first, make_group(step=1), make_group(step=1, index=1, prompt="alone"), purpose="sample")
    add(second, make_group(step=2), purpose="sample")
    source = {"kind": "runs", "run_id": str(first), "other_run_id": str(second)}
    found = pairs_of(sessions, api.post(TASKS, json={"name": "Runs", "source": source}).json())
    assert {(pair.prompt, pair.side_0["policy"], pair.side_1["policy"]) for pair in found} == {
        ("a red circle", "one", "two")
    }
    assert len(found) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": {"kind": "checkpoints"}}, "has no probe pictures of two steps: train with the probe on"),
        ({"source": {"kind": "within_group"}}, "has no stored training groups: take a train run"),
        ({"source": {"kind": "evaluation", "policies": ["base", "x"]}}, "no evaluation pictures of both base and x"),
        ({"gold": {"num_pairs": 5}}, "4 pairs of the source have rewards that differ by 0.5 or more, and 5 are asked"),
        ({"source": {"kind": "evaluation", "policies": ["base", "base"]}}, "names 'base' twice"),
        ({"source": {"kind": "runs"}}, "other_run_id names the second run for kind runs"),
        ({"votes_per_pair": 0}, "must be at least 1"),
        ({"name": "  "}, "at least 1 character"),
    ],
)
def test_what_gives_no_pairs_is_refused_with_the_cure(
    api: TestClient, evaluation: str, changes: dict[str, Any], words: str
) -> None:
    source = {"kind": "evaluation", "run_id": evaluation} | changes.get("source", {})
    answer = api.post(TASKS, json={"name": "Task"} | changes | {"source": source})
    assert answer.status_code == 422
    assert words in answer.text
    assert api.get(TASKS).json()["data"] == []


def test_a_run_that_is_not_there_is_named(api: TestClient) -> None:
    source = {"kind": "evaluation", "run_id": "01890000-0000-7000-8000-000000000001"}
    answer = api.post(TASKS, json={"name": "Task", "source": source})
    assert (answer.status_code, "01890000-0000-7000-8000-000000000001" in answer.json()["detail"]) == (404, True)


def test_an_edited_guideline_is_the_next_version_and_old_readers_are_told(api: TestClient, make_task: MakeTask) -> None:
    path = f"{TASKS}/{make_task(guideline='Look.')['id']}"
    etag = api.get(path).headers["ETag"]
    edited = api.patch(path, json={"guideline": "Look twice."}, headers={"If-Match": etag})
    assert (edited.json()["guideline"], edited.json()["guideline_version"]) == ("Look twice.", 2)
    late = api.patch(path, json={"guideline": "Look thrice."}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "outdated")
    same = api.patch(path, json={"guideline": "Look twice."}, headers={"If-Match": edited.headers["ETag"]})
    assert same.json()["guideline_version"] == 2


def test_a_repeated_creation_gives_the_same_task(api: TestClient, evaluation: str) -> None:
    body = {"name": "Once", "source": {"kind": "evaluation", "run_id": evaluation}}
    first, second = (api.post(TASKS, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["Location"] == f"{TASKS}/{first.json()['id']}"
    assert api.post(TASKS, json=body | {"name": "Other"}, headers={"Idempotency-Key": "k"}).status_code == 422


def test_tasks_are_listed_the_newest_first_page_by_page(api: TestClient, make_task: MakeTask) -> None:
    names = [make_task(name=f"task {number}")["name"] for number in range(3)]
    first = api.get(TASKS, params={"limit": 2}).json()
    second = api.get(TASKS, params={"limit": 2, "after": first["next_cursor"]}).json()
    assert [task["name"] for task in first["data"] + second["data"]] == names[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
