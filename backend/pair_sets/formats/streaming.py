"""A file that is sent while it is written, so that no export lies in memory or on the disk as a whole."""

from __future__ import annotations

import io

from typing_extensions import Buffer


class Outbox(io.RawIOBase):
    """What was written to it and not yet taken. It cannot seek: zip and Parquet writers then only append."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Never: what was taken is gone."""
        return False

    def write(self, content: Buffer, /) -> int:
        """Keeps bytes until they are taken."""
        part = bytes(content)
        self._parts.append(part)
        self._place += len(part)
        return len(part)

    def tell(self) -> int:
        """How much was written so far."""
        return self._place

    def take(self) -> bytes:
        """All that was written since the last time."""
        taken, self._parts = b"".join(self._parts), []
        return taken
