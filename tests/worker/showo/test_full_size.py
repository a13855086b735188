"""The published size on this very machine, where its memory allows."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

NEEDED_GIGABYTES = 15
ROOT = Path(__file__).parents[3]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_unmasking_step_and_one_loss_step_at_full_size() -> None:
    free = psutil.virtual_memory().available / 1e9
    if free < NEEDED_GIGABYTES:
        pytest.skip(f"Show-o's full size needs {NEEDED_GIGABYTES} GB of free memory, {free:.1f} GB are free now")
    command = [sys.executable, "-m", "tests.worker.showo.full_size"]
    made = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    assert made["num_parameters"] == 1_448_176_770
    assert made["codes"][:128] == [place * 31 % 8192 for place in range(128)]
    assert all(0 <= code < 8192 for code in made["codes"])
    # Random weights know nothing: each of the 128 draws has about one chance in 8192.
    assert made["log_prob"] == pytest.approx(-128 * math.log(8192), rel=0.1)
    assert made["difference"] < 1e-3
    assert len(made["norms"]) == 3 + 24 * 18 + 2
    assert all(math.isfinite(norm) and norm > 0 for norm in made["norms"].values())
    assert made["peak_gigabytes"] < NEEDED_GIGABYTES
