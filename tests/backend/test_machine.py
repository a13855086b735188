"""The number of cores, also on systems that know no affinity."""

from __future__ import annotations

import os

import pytest

from backend.machine import num_cores


def test_a_process_that_is_bound_to_one_core_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert num_cores() == 1


def test_without_affinity_all_cores_of_the_machine_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert num_cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_cores() == 1
