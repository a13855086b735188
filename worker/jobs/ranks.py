"""This process's place among those that torchrun or the job's launcher started, and how it ends.

It knows only the environment.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

LAUNCHER = "UNMASK_LAUNCHER_PID"
"""where the launcher notes its process id for those that it starts"""


def is_rank() -> bool:
    """Whether this process is one of several that train together, or the only one that torchrun started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def is_orphan() -> bool:
    """Whether the launcher that started this process has gone before it could be tied to it."""
    return os.environ.get(LAUNCHER, str(os.getppid())) != str(os.getppid())


def rank() -> int:
    """The process's number over all machines; 0 where it is alone. The first one reports, records and saves."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The process's number on this machine, which is its GPU's."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def num_local_processes() -> int:
    """How many processes share this machine's cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def leave(code: int) -> NoReturn:
    """Ends the process; one of several without Python's teardown.

    Sharded layers hold the process group beyond its end, and a teardown that meets its threads aborts now and then
    (SIGABRT, "terminate called without an active exception"): a run that had succeeded was then told as failed.
    """
    if not is_rank():
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
