"""Starting and ending processes so that nothing outlives the studio: parent-death signals, and a ledger of who is who.

A process is known by its id *and* its start time: an id that the system has given to another program is never touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported or allocated at length.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, told from a later one that got the same id."""

    name: str
    pid: int
    started_at: float  # Seconds since the epoch, as the kernel tells it.

    @classmethod
    def of(cls, name: str, pid: int) -> ProcessIdentity:
        """The identity of a process that lives now; raises psutil.NoSuchProcess otherwise."""
        return cls(name, pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process itself, or None where it has ended (a zombie counts as ended)."""
        try:
            process = psutil.Process(self.pid)
            # The kernel counts start times in hundredths of a second.
            is_same = abs(process.create_time() - self.started_at) < 0.05
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` by which the kernel sends `death_signal` to the child when its parent dies, even by SIGKILL.

    Linux only; elsewhere the ledger ends what was left over, at the next start.
    """
    parent = os.getpid()

    def ask_the_kernel() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # The parent died between fork and prctl.

    return ask_the_kernel


def end_processes(processes: Iterable[psutil.Process], steps: tuple[tuple[signal.Signals, float], ...]) -> None:
    """Sends each signal in turn and waits its seconds, until all processes have ended."""
    alive = list(processes)
    for number, seconds in steps:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, alive = psutil.wait_procs(alive, timeout=seconds)
        if not alive:
            return


class Ledger:
    """The file that lists the processes of one data folder, so that the next start can end what a crash left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, ProcessIdentity] = {}

    def add(self, entry: ProcessIdentity) -> None:
        """Notes a process; a later one of the same name takes its place."""
        self._entries[entry.name] = entry
        self._write()

    def clear(self) -> None:
        """Forgets all: everything was stopped."""
        self._entries.clear()
        self._path.unlink(missing_ok=True)

    def leftovers(self) -> list[tuple[ProcessIdentity, psutil.Process]]:
        """Processes of an earlier start that are still alive."""
        found = [(entry, entry.find()) for entry in self._read()]
        return [(entry, process) for entry, process in found if process is not None]

    def _read(self) -> list[ProcessIdentity]:
        try:
            return [ProcessIdentity(**entry) for entry in json.loads(self._path.read_text())]
        except (OSError, ValueError, TypeError):
            return []  # Absent, or torn by a crash: parent-death signals have ended the processes.

    def _write(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps([asdict(entry) for entry in self._entries.values()]))
        temporary.replace(self._path)
