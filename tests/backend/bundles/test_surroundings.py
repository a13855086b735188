"""What a replay says is other here than where the run was: of each attempt, for a resumed run may have moved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from backend.bundles.replay import Recording, surroundings

HERE = {"torch": "2.14.1", "cpu": "AMD EPYC, AVX512"}


def told_of(*jobs: dict[str, Any]) -> list[str]:
    recording = SimpleNamespace(versions={"job": list(jobs), "inputs": []})
    return surroundings(cast("Recording", recording), HERE, "cpu, 2 threads")


def test_an_earlier_attempt_on_other_threads_or_another_cpu_is_told() -> None:
    first = {"from_step": 0, "versions": HERE | {"cpu": "Xeon, AVX2"}, "device": "cpu, 4 threads"}
    last = {"from_step": 10, "versions": HERE, "device": "cpu, 2 threads"}
    assert told_of(last) == []
    assert told_of(first, last) == [
        "cpu: the run had Xeon, AVX2 from step 0 on, here is AMD EPYC, AVX512",
        "device: the run had cpu, 4 threads from step 0 on, here is cpu, 2 threads",
    ]


def test_a_run_of_an_earlier_version_told_no_cpu() -> None:
    old = {"from_step": 0, "versions": {"torch": "2.14.1"}, "device": "cpu, 2 threads"}
    assert told_of(old) == ["cpu: the run had none told, here is AMD EPYC, AVX512"]
