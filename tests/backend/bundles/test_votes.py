"""Votes in a bundle: joined by sample, without the raters' names, with the pictures that were voted on."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from tests.backend.preferences.conftest import DOOR, MakeRater, MakeTask, evaluation, make_rater, make_task

__all__ = ["evaluation", "make_rater", "make_task"]


def test_votes_come_with_their_pictures_and_without_the_raters_name(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More samples than one statement takes are looked up in several.
    monkeypatch.setattr("backend.bundles.votes._IDS_AT_ONCE", 1)
    task = make_task()
    rater = make_rater(task, "Ada Lovelace")
    pairs = api.get(f"{DOOR}/next", params={"count": 2}, headers=rater).json()["data"]
    keys = [uuid4(), uuid4()]
    for key, pair in zip(keys, pairs, strict=True):
        body = {"pair_id": pair["pair_id"], "choice": "left", "latency_ms": 900}
        assert api.put(f"{DOOR}/votes/{key}", json=body, headers=rater).is_success
    assert api.delete(f"{DOOR}/votes/{keys[1]}", headers=rater).is_success
    answer = api.get(f"/api/v1/runs/{task['source']['run_id']}/bundle", params={"num_groups": 0})
    (tmp_path / "b.zip").write_bytes(answer.content)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        votes = [json.loads(line) for line in archive.read("votes.jsonl").splitlines()]
        names = set(archive.namelist())
        told = {s["id"]: s for line in archive.read("samples.jsonl").splitlines() for s in json.loads(line)["samples"]}
        text = b"".join(archive.read(name) for name in names)
    assert [(vote["id"], vote["undone_at"] is not None) for vote in votes] == [
        (str(keys[0]), False),
        (str(keys[1]), True),
    ]
    assert b"Lovelace" not in text
    exported = api.get(f"/api/v1/label-tasks/{task['id']}/export", params={"format": "csv"}).text
    assert {vote["rater"] for vote in votes} == {line["rater"] for line in csv.DictReader(io.StringIO(exported))}
    for vote in votes:
        assert vote["guideline"] == task["guideline"]
        for side in (vote["side_0"], vote["side_1"]):
            sample = told[side["sample_id"]]
            assert sample["image_sha256"] == side["image_sha256"]
            assert sample["image_path"] in names, "what was voted on is always there"
