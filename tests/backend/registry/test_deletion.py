"""Deletion: what is used is refused with its users' names, and nothing but the model's own files goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from backend.models import RunRow
from backend.schemas.sample import GroupRecord

Trained = Callable[..., RunRow]


def test_a_checkpoint_goes_with_its_files_and_leaves_the_others(
    api: TestClient, trained: Trained, tmp_path: Path
) -> None:
    row = trained()
    folder = tmp_path / "runs" / str(row.id)
    assert api.delete(f"/api/v1/models/run:{row.id}@10").status_code == 204
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["000020"]
    assert [each["step"] for each in api.get(f"/api/v1/runs/{row.id}/checkpoints").json()["data"]] == [20]
    assert api.delete(f"/api/v1/models/run:{row.id}").status_code == 204
    assert list((folder / "exports").iterdir()) == []
    assert (folder / "checkpoints/000020/policy").is_dir()
    assert api.delete(f"/api/v1/models/run:{row.id}").status_code == 404, "it is gone already"


def test_what_is_used_is_refused_and_every_user_is_named(api: TestClient, trained: Trained, tmp_path: Path) -> None:
    row = trained()
    ref = f"run:{row.id}@20"
    api.put("/api/v1/aliases/champion", json={"target": ref})
    child = trained(name="its child", policy={"source": ref})
    evaluation = {"kind": "evaluate", "name": "its judge", "base": {"source": f"run:{row.id}@0020"}}
    judge = api.post("/api/v1/runs", json={"config": evaluation}).json()
    expected = {
        ("alias", "champion", "champion"),
        ("train", str(child.id), "its child"),
        ("evaluate", judge["id"], "its judge"),
    }
    users = api.get(f"/api/v1/models/{ref}/users").json()
    assert {(user["kind"], user["id"], user["name"]) for user in users} == expected
    refused = api.delete(f"/api/v1/models/{ref}")
    assert refused.status_code == 409
    assert "used by alias 'champion', train 'its child', evaluate 'its judge'" in refused.json()["detail"]
    assert refused.json()["detail"].endswith(
        ": move the aliases first; what runs name stays, as long as they are there"
    )
    told = {(each["pointer"], each["message"]) for each in refused.json()["errors"]}
    assert told == {(f"/{kind}/{key}", name) for kind, key, name in expected}
    assert (tmp_path / "runs" / str(row.id) / "checkpoints/000020/policy").is_dir()
    assert api.delete(f"/api/v1/models/run:{row.id}@10").status_code == 204, "its neighbour is used by nobody"


def test_a_model_that_a_reward_is_made_of_is_used(api: TestClient, trained: Trained) -> None:
    row = trained()
    trained(name="rewarded", rewards=({"name": "clip", "source": f"run:{row.id}"},))
    assert api.get(f"/api/v1/models/run:{row.id}/users").json()[0]["name"] == "rewarded"
    refused = api.delete(f"/api/v1/models/run:{row.id}")
    assert refused.status_code == 409
    assert "alias" not in refused.json()["detail"], "no alias is in the way"


def test_what_is_shipped_and_what_is_not_there_cannot_be_deleted(
    api: TestClient, make_run: Callable[..., RunRow]
) -> None:
    assert "cannot be deleted" in api.delete("/api/v1/models/shipped").json()["detail"]
    assert api.delete(f"/api/v1/models/run:{make_run().id}@10").status_code == 404


def test_what_a_run_goes_on_from_is_refused(api: TestClient, trained: Trained, set_status: Callable[..., None]) -> None:
    row = trained()
    set_status(row.id, "paused")
    answer = api.delete(f"/api/v1/models/run:{row.id}@20")
    assert (answer.status_code, "goes on from its checkpoints" in answer.json()["detail"]) == (409, True)


def test_a_folder_that_leads_elsewhere_is_left_alone(api: TestClient, trained: Trained, tmp_path: Path) -> None:
    row = trained()
    checkpoint = tmp_path / "runs" / str(row.id) / "checkpoints/000010"
    elsewhere = tmp_path / "elsewhere"
    checkpoint.rename(elsewhere)
    checkpoint.symlink_to(elsewhere)
    assert api.delete(f"/api/v1/models/run:{row.id}@10").status_code == 409
    assert (elsewhere / "policy").is_dir()


def test_what_people_judge_is_used(
    api: TestClient, trained: Trained, add: Callable[..., None], make_group: Callable[..., GroupRecord]
) -> None:
    row = trained()
    for step in (0, 10, 20):
        add(row.id, make_group(step=step), purpose="probe")
    source = {"kind": "checkpoints", "run_id": str(row.id), "steps": [0, 20]}
    made = api.post("/api/v1/label-tasks", json={"name": "Before or after?", "source": source})
    assert made.status_code == 201, made.text
    refused = api.delete(f"/api/v1/models/run:{row.id}@20")
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (409, "Before or after?")
    assert api.delete(f"/api/v1/models/run:{row.id}@10").status_code == 204, "the task names other steps"
