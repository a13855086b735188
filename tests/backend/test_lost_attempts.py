"""What becomes of a run whose worker fell silent, and of one that is over."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.schemas.event import StatusChanged
from backend.schemas.run import RunStatus

Sessions = sessionmaker[Session]
MakeRun = Callable[..., RunRow]
Expire = Callable[[UUID], None]


def claim(sessions: Sessions, run_id: UUID, worker: str = "w") -> RunRow | None:
    with transaction(sessions) as session:
        return runs.claim(session, run_id=run_id, worker=worker, lease_seconds=60)


def step(sessions: Sessions, row: RunRow, number: int, metrics: dict[str, float | None] | None = None) -> None:
    with transaction(sessions) as session:
        runs.record_step(
            session,
            run_id=row.id,
            attempt=row.attempt,
            step=number,
            num_steps=10,
            metrics=metrics or {"reward": float(number)},
            seconds=2.0,
        )


def read(sessions: Sessions, run_id: UUID) -> RunRow:
    with transaction(sessions) as session:
        return runs.get_run(session, run_id=run_id)


def test_a_lost_attempt_is_queued_again_and_says_so(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire
) -> None:
    row = make_run(worker="w7")
    expire_lease(row.id)
    with transaction(sessions) as session:
        assert runs.requeue_lost(session) == [row.id]
    with sessions() as session:
        last = runs.list_events(session, run_id=row.id, after=2, limit=9)[-1].to_wire().body
    assert isinstance(last, StatusChanged)
    assert last.status is RunStatus.QUEUED
    assert "attempt 1 on w7 was lost" in last.reason


def test_a_run_with_a_live_lease_is_not_requeued(sessions: Sessions, make_run: MakeRun) -> None:
    make_run(worker="w")
    with transaction(sessions) as session:
        assert runs.requeue_lost(session) == []


def lose(sessions: Sessions, run_id: UUID, expire_lease: Expire) -> None:
    expire_lease(run_id)
    with transaction(sessions) as session:
        runs.requeue_lost(session)


def test_a_run_that_loses_five_attempts_at_the_same_step_fails_with_a_reason(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire
) -> None:
    row = make_run(worker="w")
    for lost in range(5):
        current = row if lost == 0 else claim(sessions, row.id)
        assert current is not None
        step(sessions, current, 3)  # Each attempt gets as far as the one before, which is no progress.
        lose(sessions, row.id, expire_lease)
    failed = read(sessions, row.id)
    assert failed.status == "failed"
    # The first attempt did get to a step that none had reached; the count began after it.
    assert failed.error is not None
    assert "without getting beyond step 3" in failed.error
    assert claim(sessions, row.id) is None


def test_a_killed_job_leaves_its_last_words_on_the_run(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        runs.lose(session, run_id=row.id, attempt=row.attempt, last_words="ended by SIGKILL: memory ran out")
    with sessions() as session:
        told = runs.list_events(session, run_id=row.id, after=0, limit=100)
    assert "ended by SIGKILL: memory ran out" in str(told[-1].body)
    assert read(sessions, row.id).status == "queued"


def test_progress_sets_the_count_of_lost_attempts_back(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire
) -> None:
    row = make_run(worker="w")
    for number in range(1, 8):
        current = row if number == 1 else claim(sessions, row.id)
        assert current is not None
        step(sessions, current, number)
        lose(sessions, row.id, expire_lease)
    assert read(sessions, row.id).status == "queued"


@pytest.mark.parametrize(("ask", "status"), [(runs.request_cancel, "cancelled"), (runs.request_pause, "paused")])
def test_a_request_outlives_the_worker_that_was_asked(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire, ask: Callable[..., RunRow], status: str
) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        ask(session, run_id=row.id)
    lose(sessions, row.id, expire_lease)
    assert read(sessions, row.id).status == status


def test_a_cancel_that_came_while_pausing_wins(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        runs.request_cancel(session, run_id=row.id)
    with transaction(sessions) as session:
        ended = runs.finish(session, run_id=row.id, attempt=1, status=RunStatus.PAUSED)
    assert ended.status == "cancelled"
    assert ended.finished_at is not None


def test_a_resume_that_came_while_pausing_queues_the_run_again(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    for ask in (runs.request_pause, runs.resume):
        with transaction(sessions) as session:
            ask(session, run_id=row.id)
    with transaction(sessions) as session:
        ended = runs.finish(session, run_id=row.id, attempt=1, status=RunStatus.PAUSED)
    assert (ended.status, ended.worker, ended.lease_expires_at) == ("queued", None, None)
    with transaction(sessions) as session:
        assert runs.list_unsent(session) == [row.id]
    assert claim(sessions, row.id, "next") is not None


def test_a_pause_that_still_stands_pauses(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        runs.request_pause(session, run_id=row.id)
    with transaction(sessions) as session:
        assert runs.finish(session, run_id=row.id, attempt=1, status=RunStatus.PAUSED).status == "paused"


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_final_state_never_changes(sessions: Sessions, make_run: MakeRun, status: RunStatus) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        runs.finish(session, run_id=row.id, attempt=1, status=status, error="e" if status == "failed" else None)
    before = read(sessions, row.id)
    asks: list[Callable[..., object]] = [
        runs.request_cancel,
        runs.request_pause,
        runs.resume,
        runs.request_save,
        runs.request_sample,
    ]
    for ask in asks:
        with transaction(sessions) as session:
            ask(session, run_id=row.id)
    assert claim(sessions, row.id) is None
    after = read(sessions, row.id)
    assert (after.status, after.updated_at, after.num_events) == (status, before.updated_at, before.num_events)
    assert (after.lease_expires_at, after.worker) == (None, None)


def test_a_run_that_a_worker_gives_back_waits_for_the_next_one(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        released = runs.release(session, run_id=row.id, attempt=1, reason="the worker ends")
    assert (released.status, released.worker, released.num_lost) == ("queued", None, 0)
    with transaction(sessions) as session:
        assert runs.list_unsent(session) == [row.id]
    again = claim(sessions, row.id, "next")
    assert again is not None
    assert again.attempt == 2
