"""`unmask preflight`: a table for people, JSON for programs, an exit code for scripts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend import cli
from backend.cli import preflight_command
from backend.client import StudioClient
from backend.schemas.preflight import Preflight

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(api: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    client = StudioClient("http://127.0.0.1", transport=None)
    client._http.close()
    client._http = api
    monkeypatch.setattr(preflight_command, "connect", lambda context: client)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["unmask", "preflight", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), capsys.readouterr().out

    return call


def test_a_recipe_that_fits_is_told_by_part(run: Run) -> None:
    code, out = run("tiny-shapes", "--memory", "8")
    assert code == 0
    assert "activations" in out
    assert "it fits" in out
    assert "a step" in out


def test_a_file_that_does_not_fit_gets_changes_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("kind: train\npolicy: {source: showlab/show-o-512x512, device: cuda}\n")
    code, out = run(str(path), "--gpu", "RTX 4090")
    assert code == 1
    assert "does NOT fit" in out
    assert "optimizer.num_micro_batches=" in out
    code, out = run(str(path), "--gpu", "RTX 4090", "--json")
    assert code == 1
    assert Preflight.model_validate_json(out).fits is False
