"""The worker's watch over the queue: lost runs are queued again, unsent ones are sent, nothing floods the broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from worker import tasks

MakeRun = Callable[..., RunRow]
Broker = Callable[[], list[str]]


def run_of(sessions: sessionmaker[Session], run_id: UUID) -> RunRow:
    with transaction(sessions) as session:
        return runs.get_run(session, run_id=run_id)


def test_a_lost_run_is_queued_and_sent_once(
    sessions: sessionmaker[Session], make_run: MakeRun, expire_lease: Callable[[UUID], None], broker: Broker
) -> None:
    lost, held = make_run(worker="w1"), make_run(worker="w2")
    expire_lease(lost.id)
    tasks.requeue_lost_runs(sessions)
    assert broker() == [str(lost.id)]
    assert (run_of(sessions, lost.id).status, run_of(sessions, held.id).status) == ("queued", "running")
    tasks.requeue_lost_runs(sessions)
    assert broker() == []


def test_a_queued_run_whose_message_never_left_is_sent(
    sessions: sessionmaker[Session], make_run: MakeRun, broker: Broker
) -> None:
    run = make_run()
    tasks.requeue_lost_runs(sessions)
    tasks.requeue_lost_runs(sessions)
    assert broker() == [str(run.id)]


def test_a_busy_worker_queues_lost_runs_and_leaves_the_sending_to_idle_ones(
    sessions: sessionmaker[Session], make_run: MakeRun, expire_lease: Callable[[UUID], None], broker: Broker
) -> None:
    lost = make_run(worker="w1")
    expire_lease(lost.id)
    tasks.requeue_lost_runs(sessions, is_idle=False)
    assert broker() == []
    assert run_of(sessions, lost.id).status == "queued"


def test_a_broker_that_is_away_leaves_the_run_for_the_next_tick(
    sessions: sessionmaker[Session], make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    monkeypatch.setattr(queue, "send", lambda _: False)
    tasks.requeue_lost_runs(sessions)
    assert run_of(sessions, run.id).sent_at is None


@pytest.mark.slow
def test_the_worker_process_imports_no_torch() -> None:
    program = "import sys, worker.tasks; sys.exit(1 if 'torch' in sys.modules or 'transformers' in sys.modules else 0)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
