"""`make chaos`: kills job, worker, web, Postgres, Valkey and the studio itself at random moments while a run trains.

python -m tests.chaos --minutes 10; every disturbed run must end equal to the undisturbed one: metrics, pictures, state,
bit for bit; its events have no gap; and no run stands as running without a live lease for longer than it takes another
worker to look. Leases are shorter than a person's studio has them, so that more happens in the time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil

from backend.client import StudioClient
from backend.errors import StudioError
from backend.schemas.config import TrainConfig
from backend.schemas.run import Run, RunCreate
from tests.e2e.conftest import Up, free_port

VICTIMS = ("job", "job", "worker", "web", "postgres", "valkey", "studio")
LEASE = {"UNMASK_LEASE_SECONDS": "12", "UNMASK_HEARTBEAT_SECONDS": "2", "UNMASK_REQUEUE_SECONDS": "5"}
# Half of the 90 s that hold for the default lease of 60 s and look every 30 s, for the studio itself may be starting.
LONGEST_ORPHANHOOD = 45.0
# A run whose workers die five times in a row without a step fails, rightly: it may be what kills them.
MOST_KILLS_A_STEP = 3
# What a clock says differs from run to run; everything else must not.
CLOCKS = ("seconds/", "throughput/")


@dataclass(frozen=True)
class Traces:
    """All of a finished run that must not depend on what happened to it."""

    metrics: dict[int, dict[str, float | None]]
    pictures: dict[str, str]  # step/group/sample -> hash of the picture
    state_hashes: dict[int, str]  # by checkpoint


class Studio:
    """A studio that is started again whenever it was killed."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._port = free_port()
        self.up = self._start()

    def _start(self) -> Up:
        up = Up(self._data_dir, self._port)
        up.wait_until_ready()
        return up

    def kill(self, victim: str) -> None:
        """Kills one part with -9; the studio itself is started again at once."""
        if victim == "studio":
            self.up.end(signal.SIGKILL)
            self.up = self._start()
            return
        service = self.up.services().get("worker" if victim == "job" else victim)
        with contextlib.suppress(psutil.NoSuchProcess):
            targets = service.children(recursive=True) if victim == "job" and service is not None else [service]
            for process in targets:
                if process is not None:
                    process.kill()

    def client(self) -> StudioClient:
        """A client of the studio, wherever it is in its life."""
        return StudioClient(self.up.url, timeout=10)


def configuration(seed: int, num_steps: int) -> TrainConfig:
    """A run that checkpoints often and is exact: one thread, CPU."""
    return TrainConfig.model_validate(
        {
            "name": f"chaos {seed}",
            "seed": seed,
            "num_steps": num_steps,
            "policy": {"num_threads": 1, "device": "cpu"},
            "rollout": {"num_prompts": 2, "group_size": 3},
            "sampling": {"num_unmasking_steps": 6},
            "probe": {"num_prompts": 0},
            "checkpoints": {"every_num_steps": 3, "num_kept": 1000},
        }
    )


def patiently(studio: Studio, run_id: UUID) -> Run | None:
    """The run, or None while the studio is away."""
    try:
        with studio.client() as client:
            return client.get_run(run_id)
    except StudioError:
        return None


def launch(studio: Studio, config: TrainConfig) -> UUID:
    """Queues a run; the key makes a repeat after a lost answer give the same run."""
    key = f"chaos-{time.time_ns()}"
    while True:
        try:
            with studio.client() as client:
                return client.create_run(RunCreate(config=config), idempotency_key=key).id
        except StudioError:
            time.sleep(0.5)


class Killer:
    """Chooses a victim now and then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._reached, self._num_kills_there = 0, 0
        self._next_kill = time.monotonic() + 2

    def __call__(self, run: Run | None) -> str | None:
        """Whom to kill now, if anybody."""
        if run is not None and run.step > self._reached:
            self._reached, self._num_kills_there = run.step, 0
        if time.monotonic() < self._next_kill or self._num_kills_there == MOST_KILLS_A_STEP:
            return None
        self._num_kills_there += 1
        self._next_kill = time.monotonic() + self._chance.uniform(1, 12)
        return self._chance.choice(VICTIMS)


def finish(
    studio: Studio, run_id: UUID, victim_now: Callable[[Run | None], str | None] | None = None
) -> tuple[Run, list[str]]:
    """Waits for the run's end, and kills whom `victim_now` names meanwhile."""
    killed: list[str] = []
    orphan_since: float | None = None
    while True:
        time.sleep(0.3)
        assert studio.up.process.poll() is None, "the studio ended by itself"
        run = patiently(studio, run_id)
        if run is not None and run.status.is_terminal:
            return run, killed
        orphan_since = watch_lease(run, orphan_since)
        if victim_now is not None and (victim := victim_now(run)) is not None:
            killed.append(victim)
            studio.kill(victim)


def watch_lease(run: Run | None, orphan_since: float | None) -> float | None:
    """Since when the run stands as running without a live lease; AssertionError beyond the bound."""
    lease = None if run is None else run.lease_expires_at
    if run is None or run.status.value != "running" or (lease is not None and lease > datetime.now(UTC)):
        return None if run is not None else orphan_since
    since = orphan_since or time.monotonic()
    assert time.monotonic() - since < LONGEST_ORPHANHOOD, f"run {run.id} is running without a lease"
    return since


def traces_of(studio: Studio, run: Run) -> Traces:
    """Reads back what the run left; AssertionError where its events have a gap."""
    with studio.client() as client:
        points = client.list_metrics(run.id).points
        metrics = {
            point.step: {name: value for name, value in point.values.items() if not name.startswith(CLOCKS)}
            for point in points
        }
        pictures = {
            f"{step.step}/{group.index}/{sample.index}": sample.image_sha256
            for step in client.list_group_steps(run.id)
            for group in client.list_groups(run.id, step=step.step, limit=100).data
            for sample in group.samples
        }
        checkpoints = client.list_checkpoints(run.id, limit=100).data
        numbers = list(event_numbers(client, run.id))
    assert numbers == list(range(1, run.num_events + 1)), "the events have a gap"
    return Traces(metrics, pictures, {each.step: each.state_hash for each in checkpoints})


def event_numbers(client: StudioClient, run_id: UUID) -> Iterator[int]:
    """The sequence numbers of all events."""
    after = 0
    while page := client.list_events(run_id, after=after, limit=1000).data:
        yield from (event.seq for event in page)
        after = page[-1].seq


def differences(calm: Traces, disturbed: Traces) -> list[str]:
    """Where two runs differ, in words."""
    found = []
    for name in ("metrics", "pictures", "state_hashes"):
        one, other = getattr(calm, name), getattr(disturbed, name)
        places = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
        if places:
            found.append(f"{name} differ at {places[:5]}")
    return found


def main() -> int:
    """Disturbs run after run until the time is over; 1 when any of them was changed by it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=24)
    options = parser.parse_args()
    os.environ.update(LEASE)
    data_dir = Path(tempfile.mkdtemp(prefix="chaos-"))
    studio, chance, num_wrong = Studio(data_dir), random.Random(options.seed), 0
    deadline = time.monotonic() + 60 * options.minutes
    try:
        config = configuration(options.seed, options.steps)
        calm, _ = finish(studio, launch(studio, config))
        assert calm.error is None, calm.error
        expected = traces_of(studio, calm)
        while time.monotonic() < deadline:
            run, killed = finish(studio, launch(studio, config), Killer(chance))
            wrong = [f"ended as {run.status}: {run.error}"] if run.status != calm.status else []
            wrong += differences(expected, traces_of(studio, run))
            num_wrong += bool(wrong)
            print(
                f"{run.attempt} attempts, killed: {' '.join(killed) or 'nothing'}: {'; '.join(wrong) or 'equal'}",
                flush=True,
            )
    finally:
        studio.up.end()
        shutil.rmtree(data_dir, ignore_errors=True)
    return 1 if num_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
