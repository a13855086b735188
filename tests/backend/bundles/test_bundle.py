"""What a bundle holds: everything of a run, in one file, whether the run has ended or not."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.bundles.contents import Choice, piecewise
from backend.bundles.inputs import inputs_of, tree_sha256
from backend.bundles.manifest import verify
from backend.bundles.snapshot import chosen_of
from backend.models import RunRow
from backend.runs.repository import get_run
from backend.schemas.sample import GroupRecord
from tests.backend.conftest import write_files

Fetch = Callable[..., Path]


def read(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files by name, and the manifest."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, json.loads(files["manifest.json"])


def test_a_run_that_has_not_begun_makes_a_bundle_too(fetch: Fetch, make_run: Callable[..., RunRow]) -> None:
    row = make_run(name="waits")
    path = fetch(row)
    assert verify(path) == []
    files, manifest = read(path)
    assert (manifest["run_id"], manifest["status"], manifest["left_out"]) == (str(row.id), "queued", [])
    assert json.loads(files["config.json"]) == row.config
    assert json.loads(files["versions.json"])["job"] == []


def test_rows_are_lines_and_chosen_pictures_lie_beside_them(
    fetch: Fetch,
    make_run: Callable[..., RunRow],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    tmp_path: Path,
) -> None:
    row = make_run(worker="w")
    groups = [make_group(step=step, prompt=f"prompt {step}") for step in range(1, 9)]
    add(row.id, *groups)
    for group in groups[:-1]:
        write_files(run_folder(tmp_path / "runs", row.id), group)
    files, manifest = read(fetch(row, num_groups=6))
    told = [json.loads(line) for line in files["samples.jsonl"].splitlines()]
    assert [group["step"] for group in told] == list(range(1, 9)), "all groups are told"
    assert told[0]["samples"][0]["seed"] == 100
    steps = sorted({name.split("/")[1] for name in files if name.startswith("samples/")})
    assert steps == ["000001", "000002", "000003", "000004", "000006"]
    assert manifest["left_out"] == [
        "samples/000008/000-00.png",
        "samples/000008/000-01.png",
        "trajectories/000008/000.npz",
    ], "what is gone from the disk is told"
    assert [json.loads(line)["text"] for line in files["prompts.jsonl"].splitlines()][:2] == ["prompt 1", "prompt 2"]


def test_who_downloads_slowly_holds_no_session_and_what_the_run_adds_meanwhile_is_left_out(
    sessions: sessionmaker[Session],
    make_run: Callable[..., RunRow],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    tmp_path: Path,
) -> None:
    row = make_run(worker="w")
    add(row.id, make_group(step=1))
    pool = sessions.kw["bind"].pool
    held = pool.checkedout()
    folder, choice = run_folder(tmp_path / "runs", row.id), Choice(num_groups=24, has_inputs=True, has_weights=False)
    pieces = piecewise(sessions, lambda own: get_run(own, run_id=row.id), folder, choice)
    first = next(pieces)
    assert pool.checkedout() == held, "after the first piece no connection is held"
    add(row.id, make_group(step=2))
    path = tmp_path / "slow.zip"
    path.write_bytes(first + b"".join(pieces))
    assert verify(path) == []
    assert [json.loads(line)["step"] for line in read(path)[0]["samples.jsonl"].splitlines()] == [1]


def test_an_unknown_run_has_no_bundle(api: TestClient) -> None:
    assert api.get(f"/api/v1/runs/{uuid4()}/bundle").status_code == 404


def test_what_a_run_is_made_from_is_found_where_jobs_look_for_it(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "runs", uuid4())
    other, third = str(uuid4()), str(uuid4())
    (tmp_path / f"runs/{other}/checkpoints/000010/policy").mkdir(parents=True)
    (tmp_path / f"runs/{other}/exports/reward").mkdir(parents=True)
    (tmp_path / f"runs/{third}/exports/adapter").mkdir(parents=True)
    config = {
        "policy": {"source": f"run:{other}@10"},
        "rewards": [
            {"name": "learned", "source": f"run:{other}"},
            {"name": "clip", "source": "shipped"},
            {"name": "pickscore", "source": "/weights/pickscore"},
            {"name": "remote", "source": "http://127.0.0.1:9"},
            {"name": "strict", "source": ""},
        ],
        "policies": [{"label": "third", "source": f"run:{third}"}],
        "prompts": {"prompt_set": "ab"},
    }
    found = [(each.pointer, each.place, each.path is not None) for each in inputs_of("train", config, folder)]
    assert [each[:2] for each in found[:4]] == [
        ("policy.source", f"runs/{other}/checkpoints/000010/policy"),
        ("policies.0.source", f"runs/{third}/exports/adapter"),
        ("rewards.0.source", f"runs/{other}/exports/reward"),
        ("rewards.1.source", "shipped/clip"),
    ]
    assert [is_here for _, _, is_here in found] == [True, True, True, True, False, False]
    assert found[4][1].startswith("folders/")
    assert found[5][1] == "prompt-sets/ab.jsonl"


def test_groups_are_chosen_first_and_evenly() -> None:
    assert chosen_of(list(range(5)), 9) == [0, 1, 2, 3, 4]
    assert chosen_of(list(range(100)), 7) == [0, 1, 2, 3, 35, 67, 99]
    assert chosen_of(list(range(100)), 2) == [0, 1]
    assert chosen_of(list(range(100)), 0) == []


def test_one_hash_stands_for_names_and_contents() -> None:
    assert tree_sha256({"a": "1", "b": "2"}) == tree_sha256({"b": "2", "a": "1"})
    assert tree_sha256({"a": "1", "b": "2"}) != tree_sha256({"a": "2", "b": "1"})


@pytest.mark.slow
def test_exported_weights_come_where_they_are_asked_for(performed: Callable[..., RunRow], fetch: Fetch) -> None:
    row = performed(probe={"num_prompts": 0})
    small, large = read(fetch(row))[0], read(fetch(row, weights=True))[0]
    assert {name for name in large if name not in small} == {
        f"weights/policy/{name}"
        for name in (
            "config.json",
            "llm/config.json",
            "llm/tokenizer.json",
            "llm/tokenizer_config.json",
            "pytorch_model.safetensors",
            "vq/config.json",
            "vq/pytorch_model.safetensors",
        )
    }
    versions = json.loads(small["versions.json"])
    assert {"torch", "numpy", "python"} <= set(versions["job"][0]["versions"])
    assert len(versions["inputs"][0]["sha256"]) == 64, "the shipped weights are told by their hash"
