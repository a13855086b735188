"""Where a run's files lie and how they are written: temporary name, fsync, rename, hash. No path leaves the folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class FolderBusyError(Exception):
    """Another process holds the run's folder."""


def derived_id(run_id: UUID, *place: object) -> UUID:
    """A UUIDv7 for a thing inside a run: the run's own time, and bits that follow from its place.

    The same run and place give the same id, so what a resumed run makes again keeps its name.
    """
    digest = hashlib.sha256(":".join([run_id.hex, *map(str, place)]).encode()).digest()
    value = (run_id.int >> 80 << 80) | int.from_bytes(digest[:10], "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    return UUID(int=value & ~(0x3 << 62) | (0x2 << 62))


def name_of_run(run_id: UUID) -> str:
    """The one name of all models that a run made, as configurations and aliases write it."""
    return f"run:{run_id}"


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> str:
    """Writes a file so that it is there whole or not at all; returns its SHA-256.

    Raises:
        OSError: when the disk is full or the folder cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return hashlib.sha256(content).hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Makes a folder's files and entries durable, and those of all folders in it."""
    for path in root.rglob("*"):
        if path.is_dir():
            sync_folder(path)
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(root)


@dataclass(frozen=True)
class RunFolder:
    """A run's files."""

    root: Path

    def path(self, relative: str) -> Path:
        """The absolute path of a file inside the folder.

        Raises:
            ValueError: when a part is empty, hidden or leads out of the folder.
        """
        parts = relative.split("/")
        if not all(_PART.fullmatch(part) for part in parts):
            raise ValueError(f"{relative!r} is no path inside a run's folder: use letters, digits, '.', '_' and '-'")
        return self.root.joinpath(*parts)

    def write(self, relative: str, content: bytes) -> str:
        """Writes a file atomically; returns its SHA-256."""
        return write_atomically(self.path(relative), content)

    def read(self, relative: str) -> bytes:
        """The file's bytes."""
        return self.path(relative).read_bytes()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for one writer; the kernel lets go when the process dies.

        Raises:
            FolderBusyError: when another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderBusyError(f"another process still writes in {self.root}") from None
            yield


def run_folder(runs_dir: Path, run_id: UUID) -> RunFolder:
    """The folder of a run."""
    return RunFolder(runs_dir / str(run_id))
