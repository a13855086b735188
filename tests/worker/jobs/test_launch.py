"""Which process's end was the first cause, and how many processes a run asks for."""

from __future__ import annotations

import signal
import time

import pytest

from backend.artifacts import RunFolder
from worker.jobs.launch import PEER_LOST, Death, first_cause, launch, num_processes_of

LOST, ENDED = Death(11, PEER_LOST), Death(12, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("deaths", "rank"),
    [
        ({0: LOST, 1: Death(13, -signal.SIGKILL)}, 1),
        ({0: Death(13, 1), 1: ENDED}, 0),
        ({0: ENDED, 1: LOST, 2: Death(13, 1)}, 2),
        ({0: Death(13, 1), 1: Death(14, -signal.SIGKILL)}, 1),
        ({0: ENDED, 1: LOST}, 0),
    ],
)
def test_the_first_cause_is_who_did_not_end_because_of_another(deaths: dict[int, Death], rank: int) -> None:
    assert first_cause(deaths)[0] == rank


@pytest.mark.parametrize(
    ("content", "num_processes"),
    [
        (b'{"kind": "train", "scaling": {"num_processes": 3}}', 3),
        (b'{"kind": "train"}', 1),
        (b'{"kind": "sample"}', 1),
        (b"broken", 1),
        (None, 1),
    ],
)
def test_a_run_asks_for_its_processes(folder: RunFolder, content: bytes | None, num_processes: int) -> None:
    folder.root.mkdir(parents=True)
    if content is not None:
        folder.write("config.json", content)
    assert num_processes_of(folder) == num_processes


@pytest.mark.slow
def test_the_last_words_of_who_failed_are_the_launcher_s_last(capfd: pytest.CaptureFixture[str]) -> None:
    performed = """
import os, sys, time
from worker.jobs.launch import leave_words
if os.environ["RANK"] == "0":
    time.sleep(60)
leave_words("the reward is broken")
sys.exit(1)
"""
    started = time.monotonic()
    assert launch(2, ["-c", performed]) == 1
    assert time.monotonic() - started < 50
    *_, last = capfd.readouterr().err.splitlines()
    assert last.startswith("process 1 of 2 (pid ")
    assert last.endswith("): the reward is broken")
