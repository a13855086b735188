"""The command line on models and aliases: what it prints, fetches and refuses."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from backend.models import RunRow
from tests.backend.shell import Shell

Trained = Callable[..., RunRow]


def test_an_alias_is_set_moved_looked_back_at_and_given_up(studio: str, shell: Shell, trained: Trained) -> None:
    row = trained()
    assert shell("alias", "list") == 0
    assert "There is no alias" in shell.err
    assert shell("alias", "set", "", "shipped") == 2
    assert "the alias has no name" in shell.err
    assert shell("alias", "set", "champion", "shipped") == 0
    assert shell("alias", "set", "champion", f"run:{row.id}@10", "--note", "better at counting") == 0
    assert shell.out == f"alias:champion means policy run:{row.id}@10, move 2\n"
    assert shell("alias", "list", "--json") == 0
    assert [each["target"] for each in json.loads(shell.out)] == [f"run:{row.id}@10"]
    assert shell("alias", "delete", "champion") == 0
    assert shell("alias", "moves", "champion") == 0
    assert "better at counting" in shell.out
    assert shell.out.index("given up") < shell.out.index("better at counting"), "the newest first"


def test_a_model_is_imported_fetched_traced_and_deleted(
    studio: str, shell: Shell, trained: Trained, tmp_path: Path
) -> None:
    row = trained(name="tuned")
    assert shell("model", "import", "showlab/show-o-512x512", "--name", "Show-o") == 0
    assert shell("models") == 0
    assert "showlab/show-o-512x512" in shell.out
    assert shell("model", "lineage", f"run:{row.id}@10") == 0
    assert "started from" in shell.out
    assert shell("model", "download", f"run:{row.id}", "--out", str(tmp_path / "it.zip")) == 0
    assert zipfile.ZipFile(tmp_path / "it.zip").namelist() == ["tuned-final/pytorch_model.safetensors"]
    assert shell("model", "delete", f"run:{row.id}@10") == 0
    shell("alias", "set", "champion", f"run:{row.id}@20")
    assert shell("model", "delete", f"run:{row.id}@20") == 2
    assert "is used by alias 'champion'" in shell.err
    assert shell("model", "download", "showlab/show-o-512x512", "--out", str(tmp_path / "no.zip")) == 2
    assert "not on this server" in shell.err
