"""How a process ends: one of several without a teardown, whose threads may abort it after all is done."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import atexit
from worker.jobs.ranks import leave
atexit.register(print, "teardown")
print("said")
leave(3)
"""


@pytest.mark.parametrize(
    ("place", "said"), [({}, "said\nteardown\n"), ({"RANK": "0", "WORLD_SIZE": "2"}, "said\n")], ids=["alone", "rank"]
)
def test_a_process_ends_with_its_code_and_words_and_a_rank_without_teardown(place: dict[str, str], said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment | place, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (3, said), ended.stderr
