"""Every kind of tampering with a bundle is found by `verify`, and none of it is unpacked to find it."""

from __future__ import annotations

import random
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.bundles import manifest
from backend.bundles.manifest import MANIFEST, manifest_bytes, verify
from backend.bundles.replay import Recording
from backend.errors import MalformedError
from backend.zip_stream import SEAL, ZipStream
from tests.backend.bundles.test_manifest import FILES, pieces, rewritten

PICTURE = "samples/000001/000-00.png"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"".join(pieces(FILES)))
    return path


def found_in(path: Path) -> set[tuple[str, str]]:
    return {(each.what, each.name) for each in verify(path)}


def made_of(path: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]], *, is_deflated: bool = False) -> Path:
    """An archive of these entries, whose manifest is made to fit, as somebody who forges one would."""
    stream = ZipStream()
    for name, content in {(each if isinstance(each, str) else each.filename): text for each, text in entries}.items():
        list(stream.add(name, [content]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A name that stands twice is what is wanted.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if is_deflated else zipfile.ZIP_STORED) as archive:
            for name, content in entries:
                archive.writestr(name, content)
            archive.writestr(MANIFEST, manifest_bytes({"run_id": "7"}, stream.hashes))
    return path


def test_every_single_byte_of_the_archives_table_and_seal_counts(bundle: Path) -> None:
    whole = bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        assert archive.comment.startswith(SEAL)
        table = archive.start_dir
    chance = random.Random(7)
    for place in range(table, len(whole)):
        bundle.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
        assert verify(bundle), f"byte {place - table} of the table"


def test_a_renamed_file_is_missing_under_the_one_and_surplus_under_the_other_name(bundle: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        files["samples/000001/000-01.png"] = files.pop(PICTURE)

    assert found_in(rewritten(bundle, change)) == {("missing", PICTURE), ("surplus", "samples/000001/000-01.png")}


def test_two_files_that_changed_places_are_both_damaged(bundle: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        files["run.json"], files[PICTURE] = files[PICTURE], files["run.json"]

    assert found_in(rewritten(bundle, change)) == {("damaged", "run.json"), ("damaged", PICTURE)}


def test_a_name_that_stands_twice_is_told_whichever_comes_first(tmp_path: Path) -> None:
    entries: list[tuple[str | zipfile.ZipInfo, bytes]] = [("run.json", b"other"), ("run.json", FILES["run.json"])]
    assert ("surplus", "run.json") in found_in(made_of(tmp_path / "a.zip", entries))
    assert ("surplus", "run.json") in found_in(made_of(tmp_path / "b.zip", entries[::-1]))


@pytest.mark.parametrize("name", ["../up.txt", "/etc/cron.d/x", "inputs/../../up.txt", "inputs//x", "C:/x", "a\\..\\x"])
def test_a_name_that_leads_out_is_damaged_even_where_the_manifest_names_it(tmp_path: Path, name: str) -> None:
    path = made_of(tmp_path / "a.zip", [(name, b"x")])
    assert found_in(path) == {("damaged", name)}
    with pytest.raises(MalformedError, match="nothing is replayed"):
        Recording(path)


def test_a_link_is_no_file(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("inputs/prompt-sets/x.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = made_of(tmp_path / "a.zip", [(link, b"/etc/passwd")])
    assert [str(each) for each in verify(path)] == [
        "damaged: inputs/prompt-sets/x.jsonl (it is a link, and a bundle has files alone)"
    ]


@pytest.mark.parametrize("forge", [lambda whole: b"#!/bin/sh\n" + whole, lambda whole: whole + b"more"])
def test_bytes_before_and_after_the_archive_are_found(bundle: Path, forge: Callable[[bytes], bytes]) -> None:
    bundle.write_bytes(forge(bundle.read_bytes()))
    assert [each.what for each in verify(bundle)] == ["damaged"]


def test_an_encrypted_entry_is_damaged(bundle: Path) -> None:
    whole = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        local, central = archive.getinfo(PICTURE).header_offset, archive.start_dir
    place = whole.index(PICTURE.encode(), central) - 46
    for flags in (local + 6, place + 8):
        whole[flags] |= 1
    bundle.write_bytes(whole)
    assert ("damaged", PICTURE) in found_in(bundle)


def test_a_bomb_is_refused_by_its_table_without_being_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_UNQUESTIONED_BYTES", 1 << 20)
    size = 1 << 25
    path = made_of(tmp_path / "a.zip", [("events.jsonl", bytes(size))], is_deflated=True)
    assert path.stat().st_size < size / 500
    tracemalloc.start()
    found = [(each.what, each.name) for each in verify(path)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ("damaged", "events.jsonl") in found
    assert peak < size / 8, "it was not unpacked"


def test_many_small_bombs_are_one_and_what_packs_well_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MOST_UNQUESTIONED_BYTES", 1 << 20)
    entries: list[tuple[str | zipfile.ZipInfo, bytes]] = [(f"a{n}.txt", bytes(1 << 19)) for n in range(5)]
    path = made_of(tmp_path / "a.zip", entries, is_deflated=True)
    assert found_in(path) == {("damaged", "a.zip")}
    lines = "".join(f'{{"step": {n}, "reward": {random.Random(n).random()}}}\n' for n in range(60_000)).encode()
    assert len(lines) > 1 << 20
    assert verify(made_of(tmp_path / "b.zip", [("metrics.jsonl", lines)], is_deflated=True)) == []


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = made_of(tmp_path / "a.zip", [("a.txt", b"x" * 64), ("b.txt", b"x" * 64)])
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        central = archive.start_dir
    second = whole.index(b"b.txt", central) - 46
    whole[second + 42 : second + 46] = struct.pack("<I", 8)
    path.write_bytes(whole)
    assert ("damaged", "a.zip") in found_in(path)


def test_a_manifest_larger_than_any_runs_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_of(tmp_path / "a.zip", [("run.json", b"{}")])
    monkeypatch.setattr(manifest, "MAX_MANIFEST_BYTES", 100)
    (finding,) = verify(path)
    assert (finding.name, finding.what) == (MANIFEST, "damaged")
    assert "at most 100 are read" in finding.detail


def test_a_size_other_than_the_manifests_is_told_before_the_content_is_read(bundle: Path) -> None:
    found = verify(rewritten(bundle, lambda files: files.update({"run.json": b"longer than it was written"})))
    assert [each.detail for each in found] == ["it has 26 bytes, not the 13 that were written"]
