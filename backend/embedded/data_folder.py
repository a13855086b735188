"""The data folder belongs to one running studio: its lock, its ledger of processes, and the address it answers at."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from backend.errors import ConflictError, UnavailableError


class DataFolder:
    """DATA_DIR while a studio runs on it. The kernel frees the lock with its holder, however that one ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._descriptor: int | None = None

    @property
    def ledger_path(self) -> Path:
        """Lists the studio's processes (see `processes.Ledger`)."""
        return self.path / "processes.json"

    @property
    def address_path(self) -> Path:
        """Holds the address of the running studio, for the command line."""
        return self.path / "address"

    def lock(self) -> None:
        """Takes the folder, or raises ConflictError when another studio has it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UnavailableError(f"the data folder {self.path} cannot be written ({error}): set DATA_DIR") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise ConflictError(
                f"a studio already runs on {self.path} (process {holder or 'unknown'}): "
                "stop it, or set another DATA_DIR"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Gives the folder back."""
        self.address_path.unlink(missing_ok=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read_address(self) -> str | None:
        """Where the studio of this folder answers, as far as is known."""
        try:
            return self.address_path.read_text().strip() or None
        except OSError:
            return None
