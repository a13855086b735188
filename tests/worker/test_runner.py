"""The runner on real jobs in real processes: outcomes, requests, deaths, lost leases, exact resume."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.db import transaction
from backend.models import EventRow, GroupRow, MetricRow, RunRow, SampleRow
from backend.runs import repository as runs
from backend.settings import Settings
from tests.worker.jobs.driving import WALL_TIMES, tiny_train_config
from worker.job_process import death_notice, job_environment
from worker.jobs.checkpoints import read_checkpoint, saved_steps
from worker.runner import Runner

NUM_STEPS = 6


class Bench:
    """A worker's runner, the runs it is given, and what became of them."""

    def __init__(self, sessions: sessionmaker[Session], settings: Settings, policy_folder: Path) -> None:
        self.sessions = sessions
        self.settings = settings.model_copy(update={"heartbeat_seconds": 0.3, "lease_seconds": 20.0})
        self.policy_folder = policy_folder
        self.runner = self.new_runner("w1")

    def new_runner(self, name: str) -> Runner:
        return Runner(self.sessions, self.settings, name)

    def create(self, **changes: Any) -> UUID:
        config = tiny_train_config(self.policy_folder, **changes)
        with transaction(self.sessions) as session:
            return runs.create_run(session, config=config, kind=config.kind, name="a run").id

    def run(self, run_id: UUID) -> RunRow:
        with transaction(self.sessions) as session:
            return runs.get_run(session, run_id=run_id)

    def change(self, function: Callable[..., object], run_id: UUID) -> None:
        with transaction(self.sessions) as session:
            function(session, run_id=run_id)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.02)

    @contextmanager
    def executing(self, run_id: UUID, runner: Runner | None = None) -> Iterator[None]:
        """Executes the run in a thread meanwhile, and waits for its end."""
        thread = threading.Thread(target=(runner or self.runner).execute, args=(run_id,))
        thread.start()
        try:
            yield
        finally:
            thread.join(timeout=180)
        assert not thread.is_alive()

    def facts(self, run_id: UUID) -> dict[str, object]:
        """All that a run recorded and left behind, without wall times, names of attempts and places of the run."""
        with transaction(self.sessions) as session:
            metrics = session.scalars(select(MetricRow).where(MetricRow.run_id == run_id)).all()
            samples = session.execute(
                select(SampleRow, GroupRow).join(GroupRow).where(SampleRow.run_id == run_id)
            ).all()
        folder = run_folder(self.settings.runs_dir, run_id)
        return {
            "metrics": {
                row.step: {name: value for name, value in row.values.items() if not name.startswith(WALL_TIMES)}
                for row in metrics
            },
            "samples": sorted(
                (
                    *(group.step, group.purpose, group.policy, group.index, group.reason),
                    *(sample.index, sample.seed, sample.image_sha256, str(sample.reward), str(sample.advantage)),
                )
                for sample, group in samples
            ),
            "states": {step: read_checkpoint(folder, step).written_hash for step in saved_steps(folder)},
            "export": folder.path("exports/policy/pytorch_model.safetensors").read_bytes(),
        }


@pytest.fixture
def bench(sessions: sessionmaker[Session], settings: Settings, policy_folder: Path) -> Bench:
    return Bench(sessions, settings, policy_folder)


def job_pid(runner: Runner) -> int:
    attempt = runner._attempt
    return -1 if attempt is None or attempt._job is None else attempt._job.pid


@pytest.mark.slow
def test_a_run_succeeds_with_gapless_events_and_a_log(bench: Bench) -> None:
    run_id = bench.create(num_steps=2, probe={"num_prompts": 0})
    bench.runner.execute(run_id)
    run = bench.run(run_id)
    assert (run.status, run.step, run.num_steps, run.error) == ("succeeded", 2, 2, None)
    assert (run.attempt, run.worker, run.lease_expires_at) == (1, None, None)
    with transaction(bench.sessions) as session:
        events = runs.list_events(session, run_id=run_id, after=0, limit=100)
    assert [event.seq for event in events] == list(range(1, run.num_events + 1))
    kinds = [event.body["type"] for event in events]
    assert kinds == ["status", "status", "started", "step", "step", "checkpoint", "status"]
    assert run_folder(bench.settings.runs_dir, run_id).path("log.txt").read_text().count(" / 2  ") == 2
    bench.runner.execute(run_id)
    assert bench.run(run_id).num_events == run.num_events


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_job_killed_at_random_moments_ends_bit_for_bit_as_the_one_left_alone(bench: Bench, seed: int) -> None:
    alone, killed = bench.create(num_steps=NUM_STEPS), bench.create(num_steps=NUM_STEPS)
    bench.runner.execute(alone)
    chance = random.Random(seed)
    for step in sorted(chance.sample(range(1, NUM_STEPS), 2)):
        with bench.executing(killed):
            bench.wait_until(lambda step=step: bench.run(killed).step >= step)
            time.sleep(chance.uniform(0, 0.3))
            os.killpg(job_pid(bench.runner), signal.SIGKILL)
        assert bench.run(killed).status in ("queued", "succeeded")
    bench.runner.execute(killed)
    run = bench.run(killed)
    assert (run.status, run.error) == ("succeeded", None)
    assert bench.facts(killed) == bench.facts(alone)


@pytest.mark.slow
def test_a_stopped_worker_gives_its_run_back_at_once_and_another_ends_it_bit_for_bit(bench: Bench) -> None:
    alone, moved = bench.create(num_steps=NUM_STEPS), bench.create(num_steps=NUM_STEPS)
    bench.runner.execute(alone)
    first, second = bench.new_runner("w2"), bench.new_runner("w3")
    with bench.executing(moved, first):
        bench.wait_until(lambda: bench.run(moved).step >= 3)
        first.stop()
    run = bench.run(moved)
    assert (run.status, run.worker, run.lease_expires_at, run.num_lost) == ("queued", None, None, 0)
    first.execute(moved)
    assert bench.run(moved).status == "queued"
    second.execute(moved)
    assert (bench.run(moved).status, bench.run(moved).attempt) == ("succeeded", 2)
    assert bench.facts(moved) == bench.facts(alone)


@pytest.mark.slow
def test_pause_resume_and_cancel_are_honoured_within_one_step(bench: Bench) -> None:
    run_id = bench.create(num_steps=500, probe={"num_prompts": 0})
    with bench.executing(run_id):
        bench.wait_until(lambda: bench.run(run_id).step >= 1)
        bench.change(runs.request_pause, run_id)
        asked_at = bench.run(run_id).step
    run = bench.run(run_id)
    assert (run.status, run.is_pause_requested) == ("paused", False)
    assert run.step <= asked_at + 1
    assert saved_steps(run_folder(bench.settings.runs_dir, run_id))[-1] == run.step
    bench.change(runs.resume, run_id)
    with bench.executing(run_id):
        bench.wait_until(lambda: bench.run(run_id).step > run.step)
        bench.change(runs.request_cancel, run_id)
        asked_at = bench.run(run_id).step
    assert bench.run(run_id).status == "cancelled"
    assert bench.run(run_id).step <= asked_at + 1


@pytest.mark.slow
def test_a_lost_lease_kills_the_job_and_the_loser_writes_nothing_more(bench: Bench) -> None:
    run_id = bench.create(num_steps=500, probe={"num_prompts": 0})
    with bench.executing(run_id):
        bench.wait_until(lambda: bench.run(run_id).step >= 1)
        pid = job_pid(bench.runner)
        with transaction(bench.sessions) as session:
            session.execute(
                text("UPDATE run SET lease_expires_at = now() - interval '1 second' WHERE id = :id"), {"id": run_id}
            )
            claimed = runs.claim(session, run_id=run_id, worker="w2", lease_seconds=60)
        assert claimed is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    run = bench.run(run_id)
    assert (run.status, run.worker, run.attempt) == ("running", "w2", 2)
    with transaction(bench.sessions) as session:
        events = session.scalars(select(EventRow).where(EventRow.run_id == run_id).order_by(EventRow.seq)).all()
    assert events[-1].body["reason"] == "attempt 2 on w2"


@pytest.mark.slow
def test_broken_connections_are_bridged_and_nothing_is_counted_twice(bench: Bench) -> None:
    alone, disturbed = bench.create(num_steps=NUM_STEPS), bench.create(num_steps=NUM_STEPS)
    bench.runner.execute(alone)
    has_ended = threading.Event()

    def break_connections() -> None:
        engine = bench.sessions.kw["bind"]
        while not has_ended.wait(0.05):
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                        "AND backend_type = 'client backend' AND query NOT LIKE '%pg_terminate%'"
                    )
                )

    breaker = threading.Thread(target=break_connections)
    with bench.executing(disturbed):
        bench.wait_until(lambda: bench.run(disturbed).step >= 1)
        breaker.start()
        time.sleep(2)
        has_ended.set()
        breaker.join()
    assert bench.run(disturbed).status == "succeeded"
    assert bench.facts(disturbed) == bench.facts(alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"policy": {"source": "/nowhere", "device": "cpu"}}, "no model folder at /nowhere; give a folder"),
        ({"prompts": {"texts": ["a cat"]}, "rewards": [{"name": "strict"}]}, "'a cat' is not a caption"),
    ],
)
def test_a_mistake_becomes_one_clear_error_on_the_run(bench: Bench, changes: dict[str, Any], error: str) -> None:
    run_id = bench.create(**changes)
    bench.runner.execute(run_id)
    run = bench.run(run_id)
    assert run.status == "failed"
    assert run.error is not None
    assert error in run.error
    assert "Traceback" not in run.error


@pytest.mark.slow
def test_a_configuration_that_no_longer_fits_fails_its_run_by_name(bench: Bench) -> None:
    run_id = bench.create()
    with transaction(bench.sessions) as session:
        session.execute(
            text("""UPDATE run SET config = jsonb_set(config, '{num_steps}', '"many"') WHERE id = :id"""),
            {"id": run_id},
        )
    bench.runner.execute(run_id)
    assert bench.run(run_id).status == "failed"
    assert "configuration is broken at train.num_steps" in (bench.run(run_id).error or "")


def test_a_run_folder_that_cannot_be_made_fails_the_run_and_not_the_worker(bench: Bench) -> None:
    run_id = bench.create()
    bench.settings.runs_dir.parent.mkdir(parents=True, exist_ok=True)
    bench.settings.runs_dir.write_text("a file where the folder should be")
    bench.runner.execute(run_id)
    assert bench.run(run_id).status == "failed"
    assert "the worker failed: " in (bench.run(run_id).error or "")


def test_a_jobs_environment_has_no_secrets_and_what_makes_a_cpu_fast() -> None:
    environment = {"DATABASE_URL": "postgresql://u:p@h/d", "BROKER_URL": "redis://:p@h", "PATH": "/bin", "RANK": "0"}
    seen = job_environment({"policy": {"device": "cpu", "num_threads": 2}}, environment)
    assert "DATABASE_URL" not in seen
    assert "BROKER_URL" not in seen
    assert "RANK" not in seen
    assert (seen["PATH"], seen["OMP_NUM_THREADS"], seen["OMP_WAIT_POLICY"]) == ("/bin", "2", "PASSIVE")
    assert seen["MALLOC_TOP_PAD_"] == "268435456"
    assert "OMP_WAIT_POLICY" not in job_environment({"policy": {"device": "cuda"}}, {})


@pytest.mark.parametrize(
    ("exit_code", "tail", "words"),
    [
        (1, "Traceback ...\nKeyError: 'x'\n", "exit code 1: KeyError: 'x'"),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried", "raise optimizer.num_micro_batches from 1 to 2; turn"),
        (-signal.SIGSEGV, "Fatal Python error: Segmentation fault", "ended by SIGSEGV"),
        (-signal.SIGKILL, "", "often the kernel's answer when memory runs out"),
    ],
)
def test_last_words_name_what_happened(exit_code: int, tail: str, words: str) -> None:
    assert words in death_notice(exit_code, tail, {"kind": "train"})
