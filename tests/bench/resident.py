"""The memory that this process holds, now and at its peak, as the Linux kernel counts it."""

from __future__ import annotations

import ctypes
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Resident memory now."""
    return _read("VmRSS")


def peak_bytes() -> int:
    """The largest resident memory since the process began, or since `forget_peak`."""
    return _read("VmHWM")


def forget_peak() -> None:
    """The peak is counted from here on, and what the allocator keeps for later goes back to the kernel first."""
    ctypes.CDLL(None).malloc_trim(0)
    _CLEAR.write_text("5")


def _read(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
