"""Base and tuned side by side: pairs share prompt and seed, regressions come first, and the figures are the job's."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.client import StudioClient
from backend.db import transaction
from backend.dependencies import encode_cursor
from backend.runs import repository as runs
from backend.schemas.event import ScoreMeasured
from backend.schemas.sample import GroupRecord

Sessions = sessionmaker[Session]
MakeGroup = Callable[..., GroupRecord]
EVALUATE = {"kind": "evaluate", "base": {"source": "shipped"}, "num_prompts": 6}


@pytest.fixture
def evaluation(api: TestClient) -> str:
    """The address of a queued evaluation with a base."""
    return f"/api/v1/evaluations/{api.post('/api/v1/runs', json={'config': EVALUATE}).json()['id']}"


def rewarded(group: GroupRecord, *rewards: float | None, seeds: tuple[int, ...] = (100, 101)) -> GroupRecord:
    samples = tuple(
        sample.model_copy(update={"reward": reward, "seed": seed})
        for sample, reward, seed in zip(group.samples, rewards, seeds, strict=True)
    )
    return group.model_copy(update={"samples": samples})


def store(add: Callable[..., None], evaluation: str, *groups: GroupRecord) -> None:
    add(UUID(evaluation.rsplit("/", 1)[1]), *groups, purpose="evaluate")


def pairs(api: TestClient, evaluation: str, **query: Any) -> list[tuple[str, int, float | None]]:
    found = api.get(f"{evaluation}/pairs", params=query).json()["data"]
    return [(pair["prompt"], pair["seed"], pair["difference"]) for pair in found]


@pytest.fixture
def stored(evaluation: str, add: Callable[..., None], make_group: MakeGroup) -> str:
    """Two prompts of two seeds, by both policies, and a picture that the base alone has made."""
    for name, first, second in (("base", (1, 0), (1, 1)), ("policy", (1, 1), (0, 0.5))):
        circle = make_group(index=0, policy=name, prompt="a red circle")
        two = make_group(index=1, policy=name, prompt="two stars", task="counting")
        store(add, evaluation, rewarded(circle, *first), rewarded(two, *second))
    store(add, evaluation, make_group(step=2, index=2, policy="base", prompt="alone"))
    return evaluation


def test_the_worst_regressions_come_first_and_the_best_on_request(api: TestClient, stored: str) -> None:
    worst = [("two stars", 100, -1), ("two stars", 101, -0.5), ("a red circle", 100, 0), ("a red circle", 101, 1)]
    assert pairs(api, stored) == worst
    assert pairs(api, stored, order="best") == worst[::-1]
    assert pairs(api, stored, task="counting") == worst[:2]


def test_a_pair_holds_each_policys_own_picture(api: TestClient, stored: str) -> None:
    worst = api.get(f"{stored}/pairs", params={"limit": 1}).json()["data"][0]
    assert (worst["base"]["reward"], worst["policy"]["reward"], worst["task"]) == (1, 0, "counting")
    assert worst["base"]["id"] != worst["policy"]["id"]
    assert worst["base"]["seed"] == worst["policy"]["seed"] == 100


@pytest.mark.parametrize("order", ["worst", "best"])
def test_pairs_are_paged_without_loss(api: TestClient, stored: str, order: str) -> None:
    seen, after = [], None
    while True:
        query = {"limit": 1, "order": order} | ({"after": after} if after else {})
        page = api.get(f"{stored}/pairs", params=query).json()
        seen += [(pair["prompt"], pair["seed"], pair["difference"]) for pair in page["data"]]
        if not page["has_more"]:
            break
        after = page["next_cursor"]
    assert seen == pairs(api, stored, order=order)
    assert len(seen) == 4


@pytest.mark.parametrize("place", [(math.nan, 0, 0), (math.inf, 0, 0), (0.0, 0), ("x", 0, 0)])
def test_a_cursor_of_no_pair_is_refused(api: TestClient, stored: str, place: tuple[Any, ...]) -> None:
    answer = api.get(f"{stored}/pairs", params={"after": encode_cursor(*place)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/after"


def test_pictures_of_other_seeds_are_no_pair(
    api: TestClient, evaluation: str, add: Callable[..., None], make_group: MakeGroup
) -> None:
    store(add, evaluation, rewarded(make_group(policy="base"), 1, 1, seeds=(7, 101)))
    store(add, evaluation, rewarded(make_group(policy="policy"), 0, 0, seeds=(8, 101)))
    assert [pair[1] for pair in pairs(api, evaluation)] == [101]


def test_a_picture_that_was_not_judged_makes_no_difference(
    api: TestClient, evaluation: str, add: Callable[..., None], make_group: MakeGroup
) -> None:
    store(add, evaluation, rewarded(make_group(policy="base"), None, 1))
    store(add, evaluation, rewarded(make_group(policy="policy"), 1, 0))
    assert [pair[2] for pair in pairs(api, evaluation)] == [-1, None]
    found = api.get(evaluation).json()
    assert (found["num_pairs"], found["num_wins"], found["num_losses"]) == (2, 0, 1)


def score(policy: str, value: float, low: float, high: float) -> ScoreMeasured:
    interval = {"overall": (low, high)}
    return ScoreMeasured(
        step=1, policy=policy, values={"overall": value}, intervals=interval, num_prompts=6, samples_per_prompt=2
    )


def test_the_figures_are_those_the_job_has_measured(api: TestClient, stored: str, sessions: Sessions) -> None:
    before = api.get(stored).json()
    assert (before["base"], before["difference"], before["smallest_visible"]) == (None, None, None)
    run_id = UUID(stored.rsplit("/", 1)[1])
    with transaction(sessions) as session:
        row = runs.claim(session, run_id=run_id, worker="w", lease_seconds=60)
        assert row is not None
        for each in (score("base", 0.3, 0.2, 0.4), score("policy", 0.5, 0.4, 0.6), score("difference", 0.2, 0.1, 0.3)):
            runs.append_event(session, run_id=run_id, attempt=row.attempt, body=each)
    found = api.get(stored).json()
    assert [found[name]["values"]["overall"] for name in ("base", "policy", "difference")] == [0.3, 0.5, 0.2]
    # Half the interval is .1, so the standard error is .1 / 1.96.
    assert math.isclose(found["smallest_visible"], 2.8 * 0.1 / 1.96)
    assert (found["num_pairs"], found["num_wins"], found["num_losses"]) == (4, 1, 2)
    assert found["tasks"] == ["counting", "single_object"]
    assert found["config"]["base"]["source"] == "shipped"
    assert found["figure_kinds"] == {"overall": {"unit": "share", "is_lower_better": False}}


@pytest.mark.parametrize(
    ("config", "words"),
    [({"kind": "sample"}, "is a sample run"), ({"kind": "evaluate"}, "evaluates one policy alone")],
)
def test_a_run_that_compares_nothing_is_refused_with_the_cure(
    api: TestClient, config: dict[str, Any], words: str
) -> None:
    run_id = api.post("/api/v1/runs", json={"config": config}).json()["id"]
    for path in ("", "/pairs"):
        answer = api.get(f"/api/v1/evaluations/{run_id}{path}")
        assert answer.status_code == 409
        assert words in answer.json()["detail"]


def test_the_client_reads_what_the_api_answers(api: TestClient, stored: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        found = api.get(str(request.url))
        return httpx.Response(found.status_code, content=found.content)

    client = StudioClient("http://testserver", transport=httpx.MockTransport(answer))
    run_id = stored.rsplit("/", 1)[1]
    assert client.get_comparison(run_id).num_pairs == 4
    assert client.list_pairs(run_id, task="counting").data[0].difference == -1


def test_every_policys_figures_and_differences_are_told_beside_the_pairs_own(
    api: TestClient, sessions: Sessions
) -> None:
    config = EVALUATE | {"policies": [{"label": "step-20"}]}
    run_id = UUID(api.post("/api/v1/runs", json={"config": config}).json()["id"])
    names = ("base", "policy", "step-20", "difference", "difference:step-20")
    with transaction(sessions) as session:
        row = runs.claim(session, run_id=run_id, worker="w", lease_seconds=60)
        assert row is not None
        for place, name in enumerate(names):
            body = score(name, place / 10, place / 10 - 0.1, place / 10 + 0.1)
            runs.append_event(session, run_id=run_id, attempt=row.attempt, body=body)
    found = api.get(f"/api/v1/evaluations/{run_id}").json()
    assert [each["policy"] for each in found["scores"]] == ["base", "policy", "step-20"]
    assert [each["policy"] for each in found["differences"]] == ["difference", "difference:step-20"]
    assert found["difference"]["policy"] == "difference"
    assert found["smallest_visible_by_figure"] == {"overall": found["smallest_visible"]}


def test_all_pairs_are_exported_as_csv_and_no_cell_is_a_formula(
    api: TestClient, evaluation: str, add: Callable[..., None], make_group: MakeGroup
) -> None:
    for name, first, second in (("base", 1.0, None), ("policy", 0.25, 0.5)):
        store(add, evaluation, rewarded(make_group(policy=name, prompt="=cmd('x')"), first, second))
    answer = api.get(f"{evaluation}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(line["prompt"], line["seed"], line["difference"]) for line in lines] == [
        ("'=cmd('x')", "100", "-0.75"),
        ("'=cmd('x')", "101", ""),
    ]
    assert {(line["base"], line["policy"]) for line in lines} == {("base", "policy")}
    shown = api.get(f"{evaluation}/pairs").json()["data"]
    assert {line["policy_sample"] for line in lines} == {pair["policy"]["id"] for pair in shown}
