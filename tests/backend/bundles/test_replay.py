"""Replay: a bundle's run is performed again without a server, and what differs is found and named."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.bundles.manifest import MANIFEST, manifest_bytes, read_manifest
from backend.models import RunRow
from backend.zip_stream import ZipStream
from tests.backend.shell import Shell

pytestmark = pytest.mark.slow

Performed = Callable[..., RunRow]
Fetch = Callable[..., Path]


def resealed(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A bundle of another run: files changed, and the manifest made anew to fit."""
    with zipfile.ZipFile(path) as archive:
        facts = {k: v for k, v in read_manifest(archive).items() if k not in ("files", "sha256", "format")}
        files = {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}
    change(files)
    stream = ZipStream()
    parts = [piece for name, content in files.items() for piece in stream.add(name, [content])]
    parts += [*stream.add(MANIFEST, [manifest_bytes(facts, stream.hashes)]), *stream.close()]
    other = path.with_name("other.zip")
    other.write_bytes(b"".join(parts))
    return other


def replayed(shell: Shell, path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code = shell("bundle", "replay", str(path), "--json", *words)
    return code, json.loads(shell.out)


def test_a_run_that_is_made_again_is_equal_and_from_another_torch_it_says_so(
    performed: Performed, fetch: Fetch, shell: Shell
) -> None:
    path = fetch(performed())
    code, found = replayed(shell, path)
    assert (code, found["verdict"], found["surroundings"], found["missing"]) == (0, "equal", [], [])
    assert found["first"] is None
    assert (found["num_steps"], found["num_states"], found["num_states_equal"]) == (2, 2, 2)
    # 2 of each step, and the probe's 6 captions: of the base at step 0, of the policy after each step.
    assert found["num_pictures"] == found["num_pictures_equal"] == 2 * 2 + 3 * 6
    assert found["num_metrics"] > 40

    def change(files: dict[str, bytes]) -> None:
        versions = json.loads(files["versions.json"])
        versions["job"][-1]["versions"]["torch"] = "2.0.1"
        versions["job"][-1]["device"] = "NVIDIA H100 80GB HBM3"
        files["versions.json"] = json.dumps(versions).encode()
        events = [json.loads(line) for line in files["events.jsonl"].splitlines()]
        step = next(event["body"] for event in events if event["body"]["type"] == "step")
        step["metrics"]["reward/mean"] *= 1.00001
        files["events.jsonl"] = b"".join(json.dumps(event).encode() + b"\n" for event in events)

    code, found = replayed(shell, resealed(path, change), "--steps", "1")
    assert (code, found["verdict"], found["num_steps"]) == (0, "close", 1)
    assert found["worst_name"] == "reward/mean at step 1"
    assert (found["first"]["step"], found["first"]["stage"], found["first"]["name"]) == (1, "metric", "reward/mean")
    assert found["surroundings"][0].startswith("torch: the run had 2.0.1, here is ")
    assert found["surroundings"][1].startswith("device: the run had NVIDIA H100")
    assert replayed(shell, resealed(path, change), "--steps", "1", "--tolerance", "1e-9")[1]["verdict"] == "different"


def test_a_run_of_another_seed_is_different(performed: Performed, fetch: Fetch, shell: Shell) -> None:
    path = fetch(performed(num_steps=1, probe={"num_prompts": 0}))

    def change(files: dict[str, bytes]) -> None:
        config = json.loads(files["config.json"])
        files["config.json"] = json.dumps(config | {"seed": 8}).encode()

    code, found = replayed(shell, resealed(path, change))
    assert (code, found["verdict"], found["num_states_equal"]) == (1, "different", 0)
    assert (found["first"]["step"], found["first"]["stage"]) == (1, "trajectory")
    assert found["worst_pixels"] > 0.01


def test_what_the_run_started_from_is_in_the_bundle_and_its_place_is_found(
    performed: Performed, fetch: Fetch, shell: Shell
) -> None:
    first = performed(num_steps=1, probe={"num_prompts": 0})
    second = performed(num_steps=1, probe={"num_prompts": 0}, policy={"source": f"run:{first.id}@1", "num_threads": 1})
    code, found = replayed(shell, fetch(second))
    assert (code, found["verdict"]) == (0, "equal")
    assert shell("bundle", "replay", str(fetch(second, inputs=False))) == 2
    assert f"was made from 'run:{first.id}@1'" in shell.err


def test_a_damaged_bundle_is_not_replayed_and_verify_ends_with_1(
    performed: Performed, fetch: Fetch, shell: Shell, studio: str, tmp_path: Path
) -> None:
    row = performed(num_steps=1, probe={"num_prompts": 0})
    path = tmp_path / "made.zip"
    assert shell("bundle", "create", str(row.id), "-o", str(path)) == 0
    assert "whole" in shell.out
    assert shell("bundle", "verify", str(path)) == 0
    content = path.read_bytes()
    place = content.index(b"\x89PNG") + 100
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert shell("bundle", "verify", str(path)) == 1
    assert shell.out.startswith("damaged: samples/000001/000-00.png")
    assert shell("bundle", "replay", str(path)) == 2
    assert "nothing is replayed" in shell.err
