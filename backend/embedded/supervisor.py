"""Starts services in order, streams their output as one log, restarts what dies, and stops everything in reverse order.

One thread: a child's parent-death signal is bound to the thread that started it. It does not know what the services do.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from backend.embedded.processes import Ledger, ProcessIdentity, die_with_parent, end_processes
from backend.errors import UnavailableError

StopSteps = tuple[tuple[signal.Signals, float], ...]

_TICK_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 30.0
# A process that has lived this long is healthy: its next death starts the backoff anew.
_HEALTHY_SECONDS = 60.0


def _nothing() -> None:
    """A service that needs no preparation."""


@dataclass(frozen=True)
class Service:
    """One process to keep alive."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_steps: StopSteps = ((signal.SIGTERM, 6.0), (signal.SIGKILL, 3.0))
    before_start: Callable[[], None] = _nothing
    is_server: bool = False  # Servers are stopped last: the others still need them while they end.
    folder: Path | None = None  # The process's working folder; empty = ours.
    identity: Mapping[str, Any] = field(default_factory=dict)  # `subprocess` arguments: user, group.


@dataclass
class _Child:
    """A service's present process, and when to start the next one."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    num_deaths: int = 0
    restart_at: float | None = None
    rest: bytes = b""  # The line that is not yet whole.


class Supervisor:
    """Keeps services alive until it is asked to stop."""

    def __init__(self, ledger: Ledger, show: Callable[[str, str], None]) -> None:
        self._ledger = ledger
        self._show_to_people = show
        self._selector = selectors.DefaultSelector()
        self._children: list[_Child] = []
        self.is_stop_requested = False

    def request_stop(self, *_: object) -> None:
        """Asks for the end; also a signal handler. Asked twice, what is left is killed at once."""
        if self.is_stop_requested:
            for child in self._children:
                _kill_group(child)
        self.is_stop_requested = True

    def start(self, service: Service) -> None:
        """Starts a service and keeps it alive from now on."""
        child = _Child(service)
        self._children.append(child)
        self._spawn(child)

    def wait_until(self, name: str, is_ready: Callable[[], bool], seconds: float) -> None:
        """Pumps the log until the service is ready; raises UnavailableError when it dies before or takes too long."""
        child = next(child for child in self._children if child.service.name == name)
        deadline = time.monotonic() + seconds
        while not self.is_stop_requested and not is_ready():
            if child.process is not None and child.process.poll() is not None:
                self._drain(child)
                raise UnavailableError(
                    f"{name} ended at its start with code {child.process.returncode}: see the lines above"
                )
            if time.monotonic() > deadline:
                raise UnavailableError(f"{name} was not ready after {seconds:.0f} s: see the lines above")
            self._pump(_TICK_SECONDS / 4)

    def run_once(self, service: Service, seconds: float) -> None:
        """Runs a command to its end; raises UnavailableError when it fails."""
        child = _Child(service)
        self._spawn(child)
        assert child.process is not None
        deadline = time.monotonic() + seconds
        while child.process.poll() is None:
            self._pump(_TICK_SECONDS / 4)
            if self.is_stop_requested or time.monotonic() > deadline:
                _kill_group(child)
        self._drain(child)
        if child.process.returncode != 0 and not self.is_stop_requested:
            raise UnavailableError(f"{service.name} failed with code {child.process.returncode}: see the lines above")

    def watch(self) -> None:
        """Streams the log and restarts what dies, until a stop is requested."""
        while not self.is_stop_requested:
            self.look(_TICK_SECONDS)

    def look(self, seconds: float) -> None:
        """One round: shows what was written within the given time, and restarts what is due."""
        self._pump(seconds)
        for child in self._children:
            self._look_after(child)

    def stop(self) -> None:
        """Stops what uses the servers, all at once, then the servers, and forgets them."""
        for is_server in (False, True):
            stopping = [child for child in self._children if child.service.is_server is is_server]
            for child in stopping:
                self._begin_to_stop(child)
            for child in stopping:
                self._stop_child(child)
        self._children.clear()
        self._ledger.clear()

    def _show(self, name: str, line: str) -> None:
        # A terminal that was closed, or a pipe that nobody reads, must not keep the services from being stopped.
        with contextlib.suppress(OSError):
            self._show_to_people(name, line)

    def _look_after(self, child: _Child) -> None:
        if child.process is not None and child.process.poll() is not None:
            self._note_death(child)
        if child.restart_at is not None and time.monotonic() >= child.restart_at:
            try:
                self._spawn(child)
            except (OSError, UnavailableError) as error:
                self._show("unmask", f"{child.service.name} could not be restarted: {error}")
                self._schedule_restart(child)

    def _note_death(self, child: _Child) -> None:
        assert child.process is not None
        self._drain(child)
        _kill_group(child)
        if time.monotonic() - child.started_at > _HEALTHY_SECONDS:
            child.num_deaths = 0
        reason = _reason(child.process.returncode)
        child.process = None
        delay = self._schedule_restart(child)
        self._show("unmask", f"{child.service.name} {reason}; it is restarted in {delay:.1f} s")

    def _schedule_restart(self, child: _Child) -> float:
        delay = min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2.0**child.num_deaths)
        child.num_deaths += 1
        child.restart_at = time.monotonic() + delay
        return delay

    def _spawn(self, child: _Child) -> None:
        service = child.service
        service.before_start()
        death_signal = service.stop_steps[0][0]
        child.process = subprocess.Popen(
            service.command,
            env=dict(service.environment),
            cwd=service.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C reaches the supervisor alone, which then stops all in order.
            start_new_session=True,
            preexec_fn=die_with_parent(death_signal),  # noqa: PLW1509 - there is one thread.
            **service.identity,
        )
        child.started_at, child.restart_at, child.rest = time.monotonic(), None, b""
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        with contextlib.suppress(psutil.NoSuchProcess):
            self._ledger.add(ProcessIdentity.of(service.name, child.process.pid))

    def _begin_to_stop(self, child: _Child) -> None:
        if child.process is not None and child.process.poll() is None:
            child.process.send_signal(child.service.stop_steps[0][0])

    def _stop_child(self, child: _Child) -> None:
        """Waits for the end that was asked for, and goes through the harder signals where it does not come."""
        if child.process is None:
            return
        for place, (number, seconds) in enumerate(child.service.stop_steps):
            if place > 0 and child.process.poll() is None:
                child.process.send_signal(number)
            deadline = time.monotonic() + seconds
            while child.process.poll() is None and time.monotonic() < deadline:
                self._pump(_TICK_SECONDS / 4)
            if child.process.returncode is not None:
                break
        self._drain(child)
        _kill_group(child)

    def _pump(self, seconds: float) -> None:
        """Shows what the services wrote; sleeps at most the given time."""
        for key, _ in self._selector.select(seconds):
            self._read(key.data)

    def _read(self, child: _Child) -> bool:
        """Reads one chunk; False at the end of the output or when there is none yet."""
        assert child.process is not None
        stream = child.process.stdout
        if stream is None or stream.closed:
            return False
        try:
            chunk = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return False
        if not chunk:
            self._selector.unregister(stream)
            stream.close()
            return False
        *lines, child.rest = (child.rest + chunk).split(b"\n")
        for line in lines:
            self._show(child.service.name, line.decode(errors="replace").rstrip())
        return True

    def _drain(self, child: _Child) -> None:
        """Shows the last words of a process that has ended."""
        while self._read(child):
            pass
        if child.rest:
            self._show(child.service.name, child.rest.decode(errors="replace").rstrip())
            child.rest = b""
        assert child.process is not None
        stream = child.process.stdout
        if stream is not None and not stream.closed:
            # A grandchild may still hold the pipe: nothing of it is waited for.
            self._selector.unregister(stream)
            stream.close()


def end_leftovers(ledger: Ledger, show: Callable[[str, str], None]) -> None:
    """Ends what an earlier, crashed start of this data folder left running."""
    for entry, process in ledger.leftovers():
        show("unmask", f"ends {entry.name} (process {entry.pid}), left over from a start that crashed")
        end_processes([process], ((signal.SIGTERM, 5.0), (signal.SIGKILL, 3.0)))
    ledger.clear()


def _kill_group(child: _Child) -> None:
    """Ends whatever a service left in its process group."""
    if child.process is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
