"""What this process may use of the machine."""

from __future__ import annotations

import os


def num_cores() -> int:
    """The number of cores this process may run on; all of the machine's where the system does not tell, as macOS."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
