"""The manifest: whatever was changed, taken away or put in is found and named."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from backend.bundles.manifest import MANIFEST, canonical_sha256, is_safe, manifest_bytes, verify
from backend.zip_stream import ZipStream

FILES = {
    "run.json": b'{"name": "x"}',
    "samples/000001/000-00.png": bytes(range(256)) * 8,
    "events.jsonl": b"{}\n" * 400,
}


def pieces(files: Mapping[str, bytes]) -> Iterator[bytes]:
    stream = ZipStream()
    for name, content in files.items():
        yield from stream.add(name, [content])
    yield from stream.add(MANIFEST, [manifest_bytes({"run_id": "7"}, stream.hashes)])
    yield from stream.close()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"".join(pieces(FILES)))
    return path


def rewritten(bundle: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The bundle with other files, as somebody would zip it anew, its manifest as it was."""
    with zipfile.ZipFile(bundle) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return bundle


def test_what_was_written_is_whole(bundle: Path) -> None:
    assert verify(bundle) == []


def test_a_changed_a_missing_and_a_surplus_file_are_each_named(bundle: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        files["run.json"] = b'{"name": "y"}'
        del files["events.jsonl"]
        files["extra.txt"] = b"hello"

    found = {(each.what, each.name) for each in verify(rewritten(bundle, change))}
    assert found == {("damaged", "run.json"), ("missing", "events.jsonl"), ("surplus", "extra.txt")}


def test_a_manifest_that_was_made_to_fit_is_found_by_its_own_hash(bundle: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        files[MANIFEST] = files[MANIFEST].replace(b'"run_id": "7"', b'"run_id": "8"')

    assert [(each.what, each.name) for each in verify(rewritten(bundle, change))] == [("damaged", MANIFEST)]
    found = verify(rewritten(bundle, lambda files: files.pop(MANIFEST) and None))
    assert [(each.what, each.name) for each in found] == [("missing", MANIFEST)]


def test_any_byte_that_is_tampered_with_is_found_and_its_file_is_named(bundle: Path) -> None:
    whole = bundle.read_bytes()
    picture = whole.index(FILES["samples/000001/000-00.png"])
    with zipfile.ZipFile(bundle) as archive:
        table = archive.start_dir
    chance = random.Random(7)
    for place in [*range(0, table, 7), *range(picture, picture + 2048, 101)]:
        bundle.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
        found = {each.name for each in verify(bundle)}
        assert found, place
        assert "samples/000001/000-00.png" in found or not picture <= place < picture + 2048, place


@pytest.mark.parametrize("length", [0, 10, 0.5, -1])
def test_a_file_that_is_cut_short_is_told_as_such(bundle: Path, length: float) -> None:
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: int(length * len(whole)) if 0 < length < 1 else int(length)])
    assert [each.what for each in verify(bundle)] == ["damaged"]
    assert [each.what for each in verify(bundle.with_name("none.zip"))] == ["missing"]


def test_the_canonical_form_knows_no_order_and_no_spaces() -> None:
    assert canonical_sha256({"b": 1, "a": "é", "sha256": "x"}) == canonical_sha256({"a": "é", "b": 1})
    # echo -n '{"a":"é","b":1}' | sha256sum
    assert canonical_sha256({"b": 1, "a": "é"}).startswith("aa58fba8483623be")


def test_a_name_that_leads_out_is_not_safe() -> None:
    assert is_safe("inputs/runs/7/checkpoints/000010/policy/config.json")
    for name in ("../x", "/x", "a/../../x", "a//b", "", ".x", "a/.x", "a\\b"):
        assert not is_safe(name), name
