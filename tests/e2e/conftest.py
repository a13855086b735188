"""What the end-to-end tests stand on: `unmask up` as a process of its own, and waiting without blind sleeps."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backend.client import StudioClient
from backend.embedded.processes import Ledger

BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_reached: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Waits for something to hold."""
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


class Up:
    """One `unmask up`, and everything it says."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.lines: list[str] = []
        self.ready = threading.Event()
        without_servers = {key: value for key, value in os.environ.items() if not key.endswith(("_URL", "DATA_DIR"))}
        self.process = subprocess.Popen(
            [str(BIN / "unmask"), "up", "--json", "--port", str(port), "--data-dir", str(data_dir)],
            env=without_servers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if '"address"' in line:
                self.ready.set()
        self.process.stdout.close()

    def wait_until_ready(self, seconds: float = 120) -> None:
        """Waits for the printed address; shows the log where it does not come."""
        wait_until(lambda: self.ready.is_set() or self.process.poll() is not None, "the studio's address", seconds)
        assert self.ready.is_set(), "".join(self.lines)

    def pid_of(self, service: str) -> int:
        """The process of one service."""
        entries = json.loads((self.data_dir / "processes.json").read_text())
        return next(int(entry["pid"]) for entry in entries if entry["name"] == service)

    def services(self) -> dict[str, psutil.Process]:
        """The services' living processes."""
        return {entry.name: process for entry, process in Ledger(self.data_dir / "processes.json").leftovers()}

    def client(self) -> StudioClient:
        """A client of this studio."""
        return StudioClient(self.url)

    def said(self, text: str) -> bool:
        """Whether a line with this text was printed."""
        return any(text in line for line in self.lines)

    def end(self, number: signal.Signals = signal.SIGINT, seconds: float = 20) -> int:
        """Ends it by a signal, and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=seconds)
        self._reader.join(timeout=5)
        return code


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts `unmask up`; whatever the test leaves is ended."""
    started: list[Up] = []

    def start(data_dir: Path = tmp_path / "data", port: int | None = None) -> Up:
        started.append(Up(data_dir, port or free_port()))
        return started[-1]

    yield start
    for up in started:
        if up.process.poll() is None:
            up.end()
        for process in up.services().values():
            process.kill()
