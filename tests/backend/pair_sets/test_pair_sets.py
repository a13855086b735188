"""Pair sets over REST: votes are frozen as they are, pairs come in and go out, and what a run needs stays."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.pair_sets.exports import part_of
from backend.pair_sets.formats import csv_table, hpdv2, pick_a_pic
from backend.pair_sets.pairs import PairSource
from tests.backend.voted_task import RUN_ID, VotedTask

SETS = "/api/v1/pair-sets"


@pytest.fixture
def task(sessions: sessionmaker[Session], tmp_path: Path) -> VotedTask:
    return VotedTask(sessions, tmp_path / "runs")


@pytest.fixture
def voted(task: VotedTask) -> dict[str, UUID]:
    """Two people and a program on three pairs, one of them gold; a fourth pair that was only skipped."""
    first, second, gold, skipped = task.pair("a"), task.pair("b"), task.pair("c", known="0"), task.pair("d")
    raters = {"ada": task.rater("Ada"), "bob": task.rater("Bob"), "program": task.rater("Red", is_simulated=True)}
    task.vote(raters["ada"], (first, "1"), (second, "tie"), (gold, "0"), (skipped, "skip"))
    task.vote(raters["bob"], (first, "0"), (second, "both_bad"))
    task.vote(raters["program"], (first, "1"))
    return raters


def freeze(api: TestClient, task: VotedTask, **values: Any) -> dict[str, Any]:
    answer = api.post(SETS, json={"name": "mine", "label_task_id": str(task.id)} | values)
    assert answer.status_code in (200, 201), answer.text
    return {"status": answer.status_code, "location": answer.headers["Location"]} | answer.json()


def lines_of(tmp_path: Path, sha256: str) -> list[dict[str, Any]]:
    text = (tmp_path / "pair-sets" / sha256 / "pairs.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_votes_are_frozen_with_majority_soft_labels_and_provenance(
    api: TestClient, task: VotedTask, voted: dict[str, UUID], tmp_path: Path
) -> None:
    found = freeze(api, task)
    assert (found["status"], found["location"]) == (201, f"{SETS}/{found['sha256']}")
    assert (found["num_pairs"], found["num_votes"], found["num_ties"]) == (2, 5, 1)
    assert (found["num_raters"], found["num_simulated_raters"]) == (3, 1)
    assert found["left_out"] == {
        "gold pairs": 1,
        "votes on gold pairs": 1,
        "skipped": 1,
        "pairs without a vote that counts": 1,
    }
    assert found["source"]["guidelines"] == ["Choose the better one.", "Choose what the prompt says."]
    first, tie = lines_of(tmp_path, found["sha256"])
    assert (first["label_0"], first["majority"]) == (pytest.approx(1 / 3), 1)
    assert (tie["label_0"], tie["majority"]) == (0.5, None)
    assert [vote["is_simulated"] for vote in first["votes"]] == [False, False, True]
    assert [vote["choice"] for vote in tie["votes"]] == ["tie", "both_bad"]
    assert first["votes"][0]["rater"] == tie["votes"][0]["rater"] != str(voted["ada"])
    told = first["provenance"]["picture_1"]
    assert (told["run_id"], told["policy"], told["seed"], told["reward"]) == (str(RUN_ID), "policy", 100, 0.5)


def test_every_reward_of_a_sample_that_is_still_there_is_told(
    api: TestClient,
    task: VotedTask,
    make_run: Callable[..., Any],
    make_group: Callable[..., Any],
    add: Any,
    tmp_path: Path,
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group())
    sample = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"][0]["samples"][1]
    pair = task.pair("a", sample_1=sample["id"])
    task.vote(task.rater(), (pair, "1"))
    [line] = lines_of(tmp_path, freeze(api, task)["sha256"])
    assert line["provenance"]["picture_1"]["reward_breakdown"] == sample["reward_breakdown"] != {}
    assert line["provenance"]["picture_0"]["reward_breakdown"] is None


def test_the_same_votes_are_one_set_and_another_vote_makes_another(
    api: TestClient, task: VotedTask, voted: dict[str, UUID]
) -> None:
    first, again = freeze(api, task), freeze(api, task, name="another name")
    assert (again["status"], again["sha256"], again["name"]) == (200, first["sha256"], "mine")
    task.vote(voted["program"], (task.pairs[1], "1"))
    assert freeze(api, task)["sha256"] != first["sha256"]
    assert len(api.get(SETS).json()["data"]) == 2


def test_excluded_raters_are_left_out_and_told(
    api: TestClient, task: VotedTask, voted: dict[str, UUID], tmp_path: Path
) -> None:
    found = freeze(api, task, exclude_rater=[str(voted["bob"])])
    assert found["left_out"]["votes of excluded raters"] == 2
    assert len(found["source"]["excluded_raters"]) == 1
    assert [line["label_0"] for line in lines_of(tmp_path, found["sha256"])] == [0, 0.5]
    answer = api.post(
        SETS, json={"name": "x", "label_task_id": str(task.id), "exclude_rater": [str(each) for each in voted.values()]}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_picture_that_is_gone_or_another_one_is_not_frozen(
    api: TestClient, task: VotedTask, voted: dict[str, UUID], tmp_path: Path
) -> None:
    path = run_folder(tmp_path / "runs", RUN_ID).path("samples/000001/000-00.png")
    other = path.with_name("001-01.png").read_bytes()
    for change, words in ((path.unlink, "is gone"), (lambda: path.write_bytes(other), "not the picture")):
        change()
        answer = api.post(SETS, json={"name": "x", "label_task_id": str(task.id)})
        assert answer.status_code == 409
        assert words in answer.json()["detail"]
    assert api.get(SETS).json()["data"] == []


def test_a_set_that_a_run_learns_from_stays_and_says_which(
    api: TestClient, task: VotedTask, voted: dict[str, UUID]
) -> None:
    found = freeze(api, task)
    config = {"kind": "reward_model", "pairs": {"source": found["sha256"]}}
    run = api.post("/api/v1/runs", json={"config": config})
    assert run.status_code == 201, run.text
    assert api.get(found["location"]).json()["used_by"] == [run.json()["id"]]
    refused = api.delete(found["location"])
    assert refused.status_code == 409
    assert run.json()["id"] in refused.json()["detail"]
    other = freeze(api, task, exclude_rater=[str(voted["bob"])])
    assert api.delete(other["location"]).status_code == 204
    assert api.get(other["location"]).status_code == api.delete(other["location"]).status_code == 404


def test_sets_are_listed_page_by_page_the_newest_first(
    api: TestClient, task: VotedTask, voted: dict[str, UUID]
) -> None:
    made = [freeze(api, task)["sha256"]]
    for rater in voted.values():
        made.insert(0, freeze(api, task, exclude_rater=[str(rater)])["sha256"])
    seen, after = [], None
    while True:
        page = api.get(SETS, params={"limit": 1} | ({"after": after} if after else {})).json()
        seen += [each["sha256"] for each in page["data"]]
        after = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen == made
    assert api.get(SETS, params={"after": "no"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "x"}, "either label_task_id"),
        ({"name": "x", "label_task_id": str(uuid4()), "path": "/a", "format": "csv"}, "either label_task_id"),
        ({"name": "x", "path": "/a"}, "path and format belong together"),
        ({"name": "x", "path": "relative.csv", "format": "csv"}, "absolute path"),
        ({"name": "x", "path": "/no/such/place", "format": "hpdv2"}, "absolute path, or upload"),
    ],
)
def test_a_set_of_nothing_or_of_two_things_is_refused(api: TestClient, body: dict[str, Any], words: str) -> None:
    answer = api.post(SETS, json=body)
    assert answer.status_code == 422
    assert words in answer.text


FILES = {"pick_a_pic": pick_a_pic.write, "hpdv2": hpdv2.write, "csv": csv_table.write_with_pictures}


@pytest.mark.parametrize("format", list(FILES))
def test_an_upload_becomes_a_set_that_remembers_its_votes(
    api: TestClient, source: PairSource, format: str, tmp_path: Path
) -> None:
    content = b"".join(FILES[format](source))
    answer = api.post(
        f"{SETS}/upload", data={"format": format, "name": "theirs"}, files={"file": ("../pairs.bin", content)}
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found["source"] == {"kind": "import", "format": format, "file": "pairs.bin"}
    assert (found["num_pairs"], found["num_votes"], found["num_raters"]) == (3, 4, 3)
    assert found["num_simulated_raters"] == 1
    assert [line["label_0"] for line in lines_of(tmp_path, found["sha256"])] == [pytest.approx(2.5 / 3), 0.5, 0]


def test_a_bad_upload_names_row_and_column_and_leaves_nothing(api: TestClient, tmp_path: Path) -> None:
    table = b"prompt,image_0,image_1,label_0\na,x.png,y.png,2\n"
    answer = api.post(f"{SETS}/upload", data={"format": "csv", "name": "x"}, files={"file": ("v.csv", table)})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert answer.json()["errors"][0]["pointer"] == "/rows/0/label_0"
    assert list((tmp_path / "pair-sets").iterdir()) == []
    other = api.post(f"{SETS}/upload", data={"format": "hpdv2", "name": "x"}, files={"file": ("v.json", b"[]")})
    assert other.status_code == 422


def test_a_folder_of_the_studios_machine_is_imported(api: TestClient, source: PairSource, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    with zipfile.ZipFile(io.BytesIO(b"".join(hpdv2.write(source)))) as archive:
        archive.extractall(folder)
    answer = api.post(SETS, json={"name": "x", "path": str(folder), "format": "hpdv2"})
    assert (answer.status_code, answer.json()["num_pairs"]) == (201, 3)


def test_uploads_may_be_long_and_other_bodies_may_not(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"x" * 2**21
    upload = api.post(f"{SETS}/upload", data={"format": "csv", "name": "x"}, files={"file": ("v.csv", large)})
    assert upload.status_code == 422
    assert api.post(SETS, content=large, headers={"Content-Type": "application/json"}).status_code == 413
    monkeypatch.setattr("backend.middleware.MAX_UPLOAD_BYTES", 2**20)
    again = api.post(f"{SETS}/upload", data={"format": "csv", "name": "x"}, files={"file": ("v.csv", large)})
    assert again.status_code == 413


def test_a_task_and_a_set_frozen_of_it_are_exported_alike(
    api: TestClient, task: VotedTask, voted: dict[str, UUID]
) -> None:
    location = freeze(api, task)["location"]
    of_task = f"/api/v1/label-tasks/{task.id}"
    for format in ("csv", "pick_a_pic", "hpdv2"):
        first, second = (api.get(f"{place}/export", params={"format": format}) for place in (of_task, location))
        assert first.status_code == second.status_code == 200
        if format == "csv":
            assert first.content == second.content
            assert first.headers["Content-Disposition"] == 'attachment; filename="Base-or-tuned.csv"'
        elif format == "pick_a_pic":
            rows = [pq.read_table(io.BytesIO(each.content)).to_pylist() for each in (first, second)]
            assert rows[0] == rows[1]
            assert [row["label_0"] for row in rows[0]] == [0, 1, 0, 0.5, 0.5]
            assert (rows[0][0]["model_0"], rows[0][0]["model_1"]) == ("base", "policy")
    without = api.get(f"{of_task}/export", params={"format": "csv", "exclude_rater": str(voted["bob"])})
    assert len(without.text.splitlines()) == 4
    assert api.get(f"/api/v1/label-tasks/{uuid4()}/export", params={"format": "csv"}).status_code == 404


def test_parts_split_prompts_and_are_named_as_datasets_looks_for_them(
    api: TestClient, task: VotedTask, voted: dict[str, UUID]
) -> None:
    export = f"/api/v1/label-tasks/{task.id}/export"
    seen = []
    for part in ("train", "validation_unique", "test_unique"):
        answer = api.get(export, params={"format": "pick_a_pic", "part": part})
        prompts = [prompt for prompt in ("a", "b") if part_of(prompt) == part]
        if not prompts:
            assert answer.status_code == 409
            continue
        assert f'filename="{part}-00000-of-00001.parquet"' in answer.headers["Content-Disposition"]
        seen += {row["caption"] for row in pq.read_table(io.BytesIO(answer.content)).to_pylist()}
    assert sorted(seen) == ["a", "b"]
    shares = [sum(part_of(f"prompt {number}") == part for number in range(2000)) for part in ("train", "test_unique")]
    assert 1500 < shares[0] < 1700
    assert 150 < shares[1] < 250


def test_nothing_to_export_and_pictures_asked_twice_are_refused(api: TestClient, task: VotedTask) -> None:
    task.pair("a")
    export = f"/api/v1/label-tasks/{task.id}/export"
    assert api.get(export, params={"format": "csv"}).status_code == 409
    answer = api.get(export, params={"format": "hpdv2", "with_pictures": "true"})
    assert answer.json()["errors"][0]["pointer"] == "/query/with_pictures"
