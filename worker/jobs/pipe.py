"""A job's side of the pipes to its runner: one JSON line each way, and an end with the runner's."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
from typing import TextIO

from backend.schemas.event import Body
from backend.schemas.run import RequestFlags

_PR_SET_PDEATHSIG = 1


class RunnerPipe:
    """Sends events and waits for the replies; the process ends itself when the runner is gone."""

    def __init__(self) -> None:
        self._events = _take_stdout()
        self._replies: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read_replies, name="replies", daemon=True).start()

    def send(self, body: Body) -> None:
        """Hands an event to the runner."""
        self._events.write(body.model_dump_json() + "\n")
        self._events.flush()

    def receive(self) -> RequestFlags:
        """Waits until the runner has recorded the event, and says what was asked of the run."""
        return RequestFlags.model_validate_json(self._replies.get())

    def _read_replies(self) -> None:
        for line in sys.stdin:
            self._replies.put(line)
        # End-of-file: the runner has died or has lost its lease. Files are atomic, so to stop anywhere is safe.
        os._exit(os.EX_TEMPFAIL)


def die_with_parent() -> None:
    """Has the kernel kill this process when the runner's dies, however it dies (Linux)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(os.EX_TEMPFAIL)


def _take_stdout() -> TextIO:
    """The real stdout, for events alone; whatever else prints there goes to stderr, the job's log, from now on."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events
