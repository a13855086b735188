"""A bundle's manifest: the hash of every file, and of the manifest itself. Verifies a bundle; knows no server."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.zip_stream import is_sealed_whole

FORMAT = "unmask-bundle/1"
MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*(/[A-Za-z0-9][A-Za-z0-9._@-]*)*")
_CHUNK_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 1 << 26
# Up to here nothing is asked; beyond, an entry may be so many times what it takes up in the file.
MOST_UNQUESTIONED_BYTES = 1 << 28
MOST_SWELLING = 100
# What zipfile raises on bytes that were changed: NotImplementedError and RuntimeError for methods nobody used.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Finding:
    """Something that is not as the bundle's maker wrote it."""

    name: str
    what: str
    """damaged, missing or surplus"""
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.name} ({self.detail})"


def canonical_sha256(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest's canonical form: sorted keys, no spaces, UTF-8, without its own `sha256`."""
    own = {key: value for key, value in manifest.items() if key != "sha256"}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_bytes(facts: Mapping[str, Any], hashes: Mapping[str, tuple[str, int]]) -> bytes:
    """The manifest of these files, sealed with its own hash."""
    files = {name: {"sha256": digest, "num_bytes": size} for name, (digest, size) in sorted(hashes.items())}
    manifest = {"format": FORMAT, **facts, "files": files}
    return json.dumps(manifest | {"sha256": canonical_sha256(manifest)}, indent=1, ensure_ascii=False).encode()


def read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest as it stands there, hash unchecked.

    Raises:
        ValueError: when there is none, or it is none of ours.
    """
    try:
        manifest = json.loads(archive.read(MANIFEST))
        if not isinstance(manifest["files"], dict) or manifest["format"] != FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}, this version reads {FORMAT!r}")
        return dict(manifest)
    except KeyError as error:
        raise ValueError(f"it has no {error}") from error
    except (*_UNREADABLE, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"it cannot be read: {type(error).__name__} {error}") from error


def verify(path: Path) -> list[Finding]:
    """Every damaged, missing and surplus file of a bundle; an empty list where it is exactly what was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_bombs(path, archive)) or list(_findings(archive)) or list(_broken_seal(path, archive))
    except FileNotFoundError:
        return [Finding(path.name, "missing", "there is no such file")]
    except (*_UNREADABLE, ValueError) as error:
        return [Finding(path.name, "damaged", f"no zip archive, or cut short: {error}")]


def is_safe(name: str) -> bool:
    """Whether a name leads to a file below the folder that the bundle is unpacked in."""
    return _NAME.fullmatch(name) is not None


def _findings(archive: zipfile.ZipFile) -> Iterator[Finding]:
    counts = Counter(archive.namelist())
    yield from (Finding(name, "surplus", f"it is there {n} times") for name, n in counts.items() if n > 1)
    if MANIFEST not in counts:
        yield Finding(MANIFEST, "missing", "without it nothing can be checked")
        return
    try:
        manifest = read_manifest(archive)
    except ValueError as error:
        yield Finding(MANIFEST, "damaged", str(error))
        return
    if canonical_sha256(manifest) != manifest.get("sha256"):
        yield Finding(MANIFEST, "damaged", "its own hash differs from what it says")
    files = manifest["files"]
    for name in sorted(files):
        if name not in counts:
            yield Finding(name, "missing", "the manifest names it")
        elif problem := _problem(archive, name, files[name]):
            yield Finding(name, "damaged", problem)
    for name in sorted(set(counts) - set(files) - {MANIFEST}):
        yield Finding(name, "surplus", "the manifest does not name it")


def _broken_seal(path: Path, archive: zipfile.ZipFile) -> Iterator[Finding]:
    """Finds a changed byte that changes no file's content; an archive that was zipped anew has no seal to break."""
    if archive.comment and not is_sealed_whole(path, archive.comment):
        yield Finding(path.name, "damaged", "bytes beside its files differ from what was written")


def _bombs(path: Path, archive: zipfile.ZipFile) -> Iterator[Finding]:
    """Finds what would fill memory or disk, before anything is unpacked: told from the table of contents alone."""
    entries = sorted(archive.infolist(), key=lambda each: each.header_offset)
    for entry in entries:
        if entry.filename == MANIFEST and entry.file_size > MAX_MANIFEST_BYTES:
            yield Finding(MANIFEST, "damaged", f"it has {entry.file_size} bytes, at most {MAX_MANIFEST_BYTES} are read")
        if _swells(entry.file_size, entry.compress_size):
            yield Finding(entry.filename, "damaged", f"{entry.compress_size} bytes would become {entry.file_size}")
    size, packed = (sum(getattr(each, name) for each in entries) for name in ("file_size", "compress_size"))
    ends = [each.header_offset + each.compress_size for each in entries]
    if any(end > after.header_offset for end, after in zip(ends, entries[1:], strict=False)):
        yield Finding(path.name, "damaged", "its files lie over each other")
    elif _swells(size, packed):
        yield Finding(path.name, "damaged", f"{packed} bytes would become {size}")


def _swells(size: int, packed: int) -> bool:
    """Lines of figures become a tenth; more than a hundredth of something large is no run's."""
    return size > MOST_UNQUESTIONED_BYTES and size > MOST_SWELLING * packed


def _problem(archive: zipfile.ZipFile, name: str, expected: Mapping[str, Any]) -> str:
    if not is_safe(name):
        return "its name leads out of the bundle"
    entry = archive.getinfo(name)
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link, and a bundle has files alone"
    if entry.file_size != expected.get("num_bytes"):
        return f"it has {entry.file_size} bytes, not the {expected.get('num_bytes')} that were written"
    digest = hashlib.sha256()
    try:
        with archive.open(name) as file:
            while piece := file.read(_CHUNK_BYTES):
                digest.update(piece)
    except _UNREADABLE as error:
        return f"it cannot be read: {type(error).__name__} {error}"
    return "" if digest.hexdigest() == expected.get("sha256") else "its content differs from what was written"
