"""A run on a prompt set that ships with the studio: its bundle holds the set, and is performed again elsewhere."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.artifacts import run_folder
from backend.bundles.inputs import inputs_of
from backend.bundles.manifest import verify
from backend.models import RunRow
from backend.prompt_files import HELDOUT, SHIPPED_SETS
from tests.backend.bundles.test_replay import replayed
from tests.backend.shell import Shell

Performed = Callable[..., RunRow]
Fetch = Callable[..., Path]

CONTENT = (SHIPPED_SETS / f"{HELDOUT}.jsonl").read_bytes()
KEY = hashlib.sha256(CONTENT).hexdigest()


def test_a_shipped_set_is_in_the_bundle_and_an_own_file_goes_before_it(
    make_run: Callable[..., RunRow], fetch: Fetch, tmp_path: Path
) -> None:
    row = make_run(prompts={"prompt_set": KEY})
    path = fetch(row)
    assert verify(path) == []
    with zipfile.ZipFile(path) as archive:
        assert archive.read(f"inputs/prompt-sets/{KEY}.jsonl") == CONTENT
    own = tmp_path / "prompt-sets" / f"{KEY}.jsonl"
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(CONTENT)
    found = {each.role: each.path for each in inputs_of("train", row.config, run_folder(tmp_path / "runs", row.id))}
    assert found["prompt_set"] == own


@pytest.mark.slow
@pytest.mark.parametrize("has_inputs", [True, False])
def test_a_run_on_a_shipped_set_is_performed_again_where_no_set_was_ever_stored(
    performed: Performed, fetch: Fetch, shell: Shell, tmp_path: Path, has_inputs: bool
) -> None:
    row = performed(num_steps=1, probe={"num_prompts": 0}, prompts={"prompt_set": KEY})
    path = fetch(row, inputs=has_inputs)
    assert verify(path) == []
    code, found = replayed(shell, path, "--folder", str(tmp_path / "elsewhere"))
    assert (code, found["verdict"], found["missing"]) == (0, "equal", []), found
    assert (tmp_path / "elsewhere/prompt-sets" / f"{KEY}.jsonl").exists() is has_inputs, "else the shipped one serves"
