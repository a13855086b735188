"""`python -m worker`: the same job without a server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from backend.artifacts import RunFolder
from tests.worker.jobs.driving import tiny_train_config
from worker.__main__ import main


@pytest.fixture
def recipe(policy_folder: Path, tmp_path: Path) -> Path:
    config = tiny_train_config(policy_folder, num_steps=2, probe={"num_prompts": 6})
    path = tmp_path / "tiny.yaml"
    path.write_text("# A comment that opens the recipe.\n" + yaml.safe_dump(config.model_dump(mode="json")))
    return path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["worker", *map(str, arguments)])
    return main()


@pytest.mark.slow
def test_a_recipe_runs_to_its_policy_with_a_line_a_step_and_again_does_nothing_twice(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(monkeypatch, recipe, "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("step")] == ["1", "2"]
    assert any(line.startswith("mini-geneval, difference: overall") for line in lines)
    assert lines[-1] == f"succeeded: its files lie in {out}"
    assert (out / "exports/policy/config.json").is_file()
    assert call(monkeypatch, recipe, "--out", out, "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["type"] for event in events] == ["started", "checkpoint", "status"]
    assert events[0]["from_step"] == 2


def test_mistakes_are_one_line_on_stderr(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("kind: [train")
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text("kind: train\nnum_step: 3\n")
    elsewhere = tmp_path / "elsewhere"
    RunFolder(elsewhere).write("config.json", b'{"kind": "train"}')
    for arguments, words in (
        ((tmp_path / "missing.yaml",), "missing.yaml is missing"),
        ((broken,), "is no valid YAML"),
        ((unknown, "--out", tmp_path / "new"), "broken at train.num_step"),
        ((recipe, "--out", elsewhere), "holds a run with another configuration"),
    ):
        assert call(monkeypatch, *arguments) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert words in captured.err
        assert "Traceback" not in captured.err


def test_a_folder_in_use_is_refused(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(tmp_path / "out").lock():
        assert call(monkeypatch, recipe, "--out", tmp_path / "out") == 1
    assert "another process still writes" in capsys.readouterr().err
