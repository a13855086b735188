"""A parallel part has the threads that a run asks for, whatever the environment says: no result depends on the load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# The gradient of a norm's weight is summed by each thread on its own first, so its last bits tell their number.
SUMS = """
import worker, torch
torch.set_num_threads({threads})
torch.manual_seed(0)
norm = torch.nn.LayerNorm(64)
norm(torch.randn(4096, 64)).square().sum().backward()
print(norm.weight.grad.numpy().tobytes().hex())
"""


def sums(threads: int, **environment: str) -> str:
    command = [sys.executable, "-c", SUMS.format(threads=threads)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_environment_takes_no_thread_from_a_sum() -> None:
    wanted = sums(2)
    assert sums(1) != wanted, "these sums show the number of threads"
    assert sums(2, OMP_THREAD_LIMIT="1") == wanted
    assert sums(2, OMP_DYNAMIC="true") == wanted
