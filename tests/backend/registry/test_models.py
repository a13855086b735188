"""Models: shipped, imported and made by runs, with their size; downloads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.registry.weights import count_parameters
from backend.runs import repository as runs
from backend.runs.policies import SHIPPED_POLICY
from backend.samples import repository as samples
from backend.schemas.config import PretrainConfig
from backend.schemas.event import CheckpointSaved

Sessions = sessionmaker[Session]
MakeRun = Callable[..., RunRow]
WriteWeights = Callable[[Path, dict[str, list[int]]], None]


def test_models_are_the_shipped_one_and_every_checkpoint(
    api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    make_run(name="without a checkpoint")
    rows = [make_run(name=f"r{number}", worker="w") for number in range(3)]
    for row in rows:
        for step in (10, 20):
            saved = CheckpointSaved(step=step, sha256="s", num_bytes=5, state_hash="h", path="p")
            with transaction(sessions) as session:
                samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
    first = api.get("/api/v1/models", params={"limit": 2}).json()
    rest = api.get("/api/v1/models", params={"limit": 2, "after": first["next_cursor"]}).json()
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [model["source"] for model in first["data"] + rest["data"]] == [
        "shipped",
        *(f"run:{row.id}@{step}" for row in rows[::-1] for step in (20, 10)),
    ]


def test_models_tell_their_size_from_their_files(
    api: TestClient, sessions: Sessions, make_run: MakeRun, tmp_path: Path, write_weights: WriteWeights
) -> None:
    row = make_run(worker="w")
    folder = tmp_path / "runs" / str(row.id)
    write_weights(folder / "checkpoints/000020/policy", {"a": [3, 4], "b": [5]})
    write_weights(folder / "checkpoints/000020/policy/vq", {"c": [2], "quantize.embedding": [100]})
    for step in (10, 20):
        saved = CheckpointSaved(step=step, sha256="s", num_bytes=5, state_hash="h", path=f"checkpoints/{step:06d}")
        with transaction(sessions) as session:
            samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
    shipped, *trained = api.get("/api/v1/models").json()["data"]
    assert shipped["num_parameters"] == 1_526_413
    assert [(model["step"], model["num_parameters"]) for model in trained] == [(20, 19), (10, 19)]
    listed = api.get(f"/api/v1/runs/{row.id}/checkpoints").json()["data"]
    assert [model["created_at"] for model in trained] == [each["created_at"] for each in listed]


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + b"\x00" * 7 + b"[]", b"\x03" + b"\x00" * 7 + b"{a}"])
def test_weights_that_are_none_have_no_size(tmp_path: Path, content: bytes) -> None:
    assert count_parameters(tmp_path) is None
    (tmp_path / "pytorch_model.safetensors").write_bytes(content)
    assert count_parameters(tmp_path) is None


def test_a_checkpoint_of_the_tokenizer_alone_is_no_model(api: TestClient, sessions: Sessions) -> None:
    config = PretrainConfig.model_validate({"tokenizer": {"num_steps": 10}})
    with transaction(sessions) as session:
        row = runs.create_run(session, config=config, kind="pretrain", name="from nothing")
        for step in (5, 10, 15):
            saved = CheckpointSaved(step=step, sha256="s", num_bytes=5, state_hash="h", path="p")
            samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
    assert [model["step"] for model in api.get("/api/v1/models").json()["data"]] == [None, 15]


def test_what_a_run_exported_is_a_model_once_it_has_succeeded(
    api: TestClient, sessions: Sessions, make_run: MakeRun, tmp_path: Path, write_weights: WriteWeights
) -> None:
    row = make_run(worker="w", name="tuned")
    write_weights(tmp_path / "runs" / str(row.id) / "exports/policy", {"a": [3, 4]})
    assert api.get(f"/api/v1/models/run:{row.id}").status_code == 404
    with transaction(sessions) as session:
        session.execute(update(RunRow).values(status="succeeded"))
    found = api.get(f"/api/v1/models/run:{row.id}").json()
    assert (found["kind"], found["name"], found["num_bytes"]) == ("export", "tuned, final", 82)
    only = api.get("/api/v1/models", params={"kind": "export"}).json()["data"]
    assert only == [found]


def test_a_folder_is_imported_by_its_path_and_a_hub_name_as_it_is(api: TestClient, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    source = str(tmp_path / "mine")
    refused = api.post("/api/v1/models", json={"source": source})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/source"
    (tmp_path / "mine/config.json").write_text("{}")
    made = api.post("/api/v1/models", json={"source": source, "note": "from the old machine"})
    assert made.status_code == 201
    assert (made.json()["name"], made.json()["description"]) == ("mine", "from the old machine")
    assert api.get(made.headers["Location"]).json() == made.json()
    assert api.post("/api/v1/models", json={"source": source}).status_code == 409
    assert api.post("/api/v1/models", json={"source": "showlab/show-o-512x512"}).json()["name"] == "show-o-512x512"
    kinds = [model["kind"] for model in api.get("/api/v1/models").json()["data"]]
    assert kinds == ["base", "imported", "imported"]
    assert api.delete(f"/api/v1/models/{quote(source, safe='')}").status_code == 204
    assert (tmp_path / "mine/config.json").is_file(), "only the entry goes"


def test_a_model_is_downloaded_whole_as_a_zip(api: TestClient) -> None:
    answer = api.get("/api/v1/models/shipped/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="Tiny-Show-o.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {path.relative_to(SHIPPED_POLICY).as_posix(): path for path in SHIPPED_POLICY.rglob("*")}
        wanted = {f"Tiny-Show-o/{name}": path.read_bytes() for name, path in files.items() if path.is_file()}
        assert {name: archive.read(name) for name in archive.namelist()} == wanted


def test_what_is_no_model_is_told_with_the_cure(api: TestClient, make_run: MakeRun) -> None:
    row = make_run()
    for ref, status, words in (
        (f"run:{row.id}@7", 404, "list the models"),
        ("run:7", 422, "write run:<id>@<step>"),
        ("alias:champion", 422, "is an alias"),
        ("elsewhere", 404, "there is no model"),
    ):
        answer: Any = api.get(f"/api/v1/models/{ref}")
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), ref


def test_of_those_who_enter_one_model_at_once_the_others_hear_that_it_is_entered(api: TestClient) -> None:
    for number in range(5):
        wanted = {"source": f"someone/model-{number}"}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _, wanted=wanted: api.post("/api/v1/models", json=wanted), range(4)))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
