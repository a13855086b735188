"""Times two ways of doing the same thing in turn, so that whatever else the machine does meets both alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch


@dataclass(frozen=True)
class Way:
    """One way of doing the work, what it is called, and how many units of it a call does."""

    name: str
    run: Callable[[], object]
    num_units: int


def seconds_a_unit(ways: list[Way], num_rounds: int) -> list[float]:
    """Median wall seconds a unit of each way, over rounds in which each has its turn; the first call is discarded."""
    for way in ways:
        way.run()
    measured: list[list[float]] = [[] for _ in ways]
    for _ in range(num_rounds):
        for way, seconds in zip(ways, measured, strict=True):
            seconds.append(_seconds_of(way) / way.num_units)
    return [median(seconds) for seconds in measured]


def _seconds_of(way: Way) -> float:
    """Wall seconds of one call; what a GPU still works on when the call returns is waited for."""
    _wait_for_device()
    started = time.perf_counter()
    way.run()
    _wait_for_device()
    return time.perf_counter() - started


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def print_table(title: str, unit: str, ways: list[Way], seconds: list[float]) -> None:
    """A line a way: units a second, and how many times the first way's."""
    print(f"\n{title}")
    print(f"  {'way':<62} {unit + '/s':>14} {'ratio':>7}")
    for way, each in zip(ways, seconds, strict=True):
        print(f"  {way.name:<62} {1 / each:>14.2f} {seconds[0] / each:>6.2f}x")
