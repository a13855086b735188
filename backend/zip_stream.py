"""A zip archive that leaves while it is made: no temporary file, and never more than a piece of it in memory."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20
# What is compressed already is stored as it is.
_STORED = (".png", ".npz", ".safetensors", ".gif", ".webp")
# What the archive's comment begins with; the hash of the archive follows, taken with an empty comment.
SEAL = b"unmask sha256:"
_NO_COMMENT = b"\0\0"
_EARLIEST = (1980, 1, 1, 0, 0, 0)


class _Outbox(io.RawIOBase):
    """Takes what ZipFile writes, until it is fetched."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.digest = hashlib.sha256()
        """of all that was written so far"""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self.digest.update(data)
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


class ZipStream:
    """Adds entries one after another; each adding yields the archive's next bytes."""

    def __init__(self) -> None:
        self._outbox = _Outbox()
        self._zip = zipfile.ZipFile(self._outbox, "w", zipfile.ZIP_DEFLATED)
        self.hashes: dict[str, tuple[str, int]] = {}

    def add(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """One entry from its pieces; its SHA-256 and size are in `hashes` afterwards."""
        info = zipfile.ZipInfo(name, _EARLIEST)
        info.compress_type = zipfile.ZIP_STORED if name.endswith(_STORED) else zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as entry:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                entry.write(piece)
                yield self._outbox.take()
        self.hashes[name] = digest.hexdigest(), size
        yield self._outbox.take()

    def close(self) -> Iterator[bytes]:
        """The archive's table of contents; its comment is the hash of all bytes before the comment."""
        self._zip.close()
        table = self._outbox.take()
        assert table.endswith(_NO_COMMENT), "a zip archive ends with its comment and the comment's length"
        comment = SEAL + self._outbox.digest.hexdigest().encode()
        yield table.removesuffix(_NO_COMMENT) + len(comment).to_bytes(2, "little") + comment


def is_sealed_whole(path: Path, comment: bytes) -> bool:
    """Whether an archive is, byte for byte, what a `ZipStream` wrote; its comment says what that was."""
    digest, left = hashlib.sha256(), path.stat().st_size - len(comment) - len(_NO_COMMENT)
    with path.open("rb") as file:
        while left > 0 and (piece := file.read(min(left, CHUNK_BYTES))):
            digest.update(piece)
            left -= len(piece)
        is_as_long = file.read(len(_NO_COMMENT)) == len(comment).to_bytes(2, "little")
    digest.update(_NO_COMMENT)
    return is_as_long and comment == SEAL + digest.hexdigest().encode()


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's content, piece by piece."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def zip_of_folder(folder: Path, top: str) -> Iterator[bytes]:
    """All files of a folder, in order, under one folder `top`; what is a link is left out."""
    stream = ZipStream()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield from stream.add(f"{top}/{path.relative_to(folder).as_posix()}", pieces_of(path))
    yield from stream.close()
