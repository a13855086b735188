"""`make bench`: every benchmark in turn, each in a process of its own; 1 when one of them misses its bound."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "tests.bench.bench_rollout",
    "tests.bench.bench_update",
    "tests.bench.bench_middle_rollout",
    "tests.bench.bench_middle_update",
    "tests.bench.measured_peaks",
    "tests.bench.bench_full_size",
    "tests.bench.bench_api",
    "tests.bench.bench_votes",
    "tests.bench.bench_key_to_pair",
    "tests.bench.bench_compare",
)


def main() -> int:
    """Runs all of them, also after one that missed its bound."""
    codes = [subprocess.run([sys.executable, "-m", name], check=False).returncode for name in BENCHMARKS]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
