"""Aliases: unique names for models, moved with history, and frozen into every run that is started by one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient

from backend.models import RunRow

Trained = Callable[..., RunRow]

ALIAS = "/api/v1/aliases/champion"


def test_an_alias_is_set_moved_and_given_up_and_its_moves_are_kept(api: TestClient, trained: Trained) -> None:
    row = trained()
    first = api.put(ALIAS, json={"target": f"run:{row.id}@010", "note": "the first good one"})
    assert (first.json()["target"], first.headers["ETag"]) == (f"run:{row.id}@10", '"1"')
    assert api.put(ALIAS, json={"target": f"run:{row.id}@10"}).json()["revision"] == 1, "nothing moved"
    assert api.put(ALIAS, json={"target": f"run:{row.id}"}).json()["revision"] == 2
    models = {each["source"]: each["aliases"] for each in api.get("/api/v1/models").json()["data"]}
    assert models == {
        "shipped": [],
        f"run:{row.id}": ["champion"],
        f"run:{row.id}@20": [],
        f"run:{row.id}@10": [],
    }
    assert api.delete(ALIAS).status_code == 204
    assert api.get(ALIAS).status_code == 404
    assert api.put(ALIAS, json={"target": "shipped"}).json()["revision"] == 4
    first_page = api.get(f"{ALIAS}/moves", params={"limit": 3}).json()
    rest = api.get(f"{ALIAS}/moves", params={"limit": 3, "after": first_page["next_cursor"]}).json()
    moves = [(each["revision"], each["previous"], each["target"]) for each in first_page["data"] + rest["data"]]
    assert moves == [
        (4, None, "shipped"),
        (3, f"run:{row.id}", None),
        (2, f"run:{row.id}@10", f"run:{row.id}"),
        (1, None, f"run:{row.id}@10"),
    ]
    assert rest["data"][0]["note"] == "the first good one"


def test_a_move_on_an_old_state_is_refused(api: TestClient, trained: Trained) -> None:
    row = trained()
    assert api.put(ALIAS, json={"target": "shipped"}, headers={"If-Match": "*"}).status_code == 412, "not there yet"
    etag = api.put(ALIAS, json={"target": "shipped"}).headers["ETag"]
    moved = api.put(ALIAS, json={"target": f"run:{row.id}@10"}, headers={"If-Match": etag})
    assert moved.status_code == 200
    for answer in (
        api.put(ALIAS, json={"target": f"run:{row.id}@20"}, headers={"If-Match": etag}),
        api.delete(ALIAS, headers={"If-Match": etag}),
    ):
        assert answer.status_code == 412
        assert "was moved since" in answer.json()["detail"]
    assert api.get(ALIAS).json()["target"] == f"run:{row.id}@10"


def test_of_two_movers_at_once_one_is_refused(api: TestClient, trained: Trained) -> None:
    row = trained()
    etag = api.put(ALIAS, json={"target": "shipped"}).headers["ETag"]

    def move(step: int) -> int:
        return api.put(ALIAS, json={"target": f"run:{row.id}@{step}"}, headers={"If-Match": etag}).status_code

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(move, (10, 20))) == [200, 412]
    assert api.get(ALIAS).json()["revision"] == 2


def test_of_those_who_set_a_new_name_at_once_each_is_answered_and_moves_it_once(
    api: TestClient, trained: Trained
) -> None:
    row = trained()
    targets = [f"run:{row.id}", f"run:{row.id}@10", f"run:{row.id}@20", "shipped"]
    for number in range(5):
        alias = f"{ALIAS}-{number}"
        with ThreadPoolExecutor(len(targets)) as pool:
            answers = list(pool.map(lambda target, alias=alias: api.put(alias, json={"target": target}), targets))
        assert [answer.status_code for answer in answers] == [200] * len(targets)
        assert sorted(answer.json()["revision"] for answer in answers) == [1, 2, 3, 4]
        assert len(api.get(f"{alias}/moves").json()["data"]) == len(targets)


def test_a_name_or_a_target_that_cannot_be_is_refused(api: TestClient, trained: Trained) -> None:
    row = trained()
    assert api.put("/api/v1/aliases/Champion One", json={"target": "shipped"}).status_code == 422
    for target in (f"run:{row.id}@15", "run:x", "alias:other", "/nowhere"):
        answer = api.put(ALIAS, json={"target": target})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/target"), target


def test_a_run_that_is_started_by_an_alias_keeps_the_model_it_meant_then(api: TestClient, trained: Trained) -> None:
    row = trained()
    api.put(ALIAS, json={"target": f"run:{row.id}@10"})
    config = {
        "kind": "evaluate",
        "policy": {"source": "alias:champion"},
        "base": {"source": "shipped"},
    }
    made = api.post("/api/v1/runs", json={"config": config}).json()
    api.put(ALIAS, json={"target": f"run:{row.id}@20"})
    policy = api.get(f"/api/v1/runs/{made['id']}").json()["config"]["policy"]
    assert (policy["source"], policy["alias"]) == (f"run:{row.id}@10", "champion")
    again = api.post(f"/api/v1/runs/{made['id']}/clone").json()["config"]["policy"]
    assert (again["source"], again["alias"]) == (f"run:{row.id}@10", "champion"), "a clone is the same run again"
    assert made["config"]["base"]["alias"] == ""


def test_an_alias_that_is_unknown_or_claimed_falsely_is_refused_where_it_stands(api: TestClient) -> None:
    for base, pointer in (
        ({"source": "alias:nobody"}, "/config/base/source"),
        ({"source": "shipped", "alias": "champion"}, "/config/base/alias"),
    ):
        for path in ("/api/v1/runs", "/api/v1/runs/preview"):
            answer = api.post(path, json={"config": {"kind": "evaluate", "base": base}})
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_the_preview_and_the_preflight_see_the_model_behind_the_alias(api: TestClient) -> None:
    api.put(ALIAS, json={"target": "shipped"})
    config = {"kind": "sample", "policy": {"source": "alias:champion"}}
    assert (
        "source: shipped\n  alias: champion" in api.post("/api/v1/runs/preview", json={"config": config}).json()["yaml"]
    )
    config = {"kind": "train", "policy": {"source": "alias:champion"}}
    assert api.post("/api/v1/preflight", json={"config": config}).is_success
