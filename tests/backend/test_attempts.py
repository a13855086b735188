"""A run is held by one attempt at a time, its events have no gaps, and what an attempt lost is not counted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.errors import LeaseLostError
from backend.models import CheckpointRow, EventRow, GroupRow, MetricRow, RunRow, SampleRow
from backend.runs import repository as runs
from backend.samples import repository as samples
from backend.schemas.event import CheckpointSaved, Log, StepFinished
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord

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


def count(sessions: Sessions, table: Any) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_run_is_claimed_once_however_many_workers_try(sessions: Sessions, make_run: MakeRun) -> None:
    run_id = make_run().id
    winners: list[RunRow | None] = []
    threads = [threading.Thread(target=lambda: winners.append(claim(sessions, run_id))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed = [row for row in winners if row is not None]
    assert len(claimed) == 1
    assert (claimed[0].status, claimed[0].attempt) == ("running", 1)
    assert claimed[0].started_at is not None


def test_a_claim_of_an_unknown_run_gives_nothing(sessions: Sessions) -> None:
    assert claim(sessions, UUID(int=7)) is None


def test_a_run_with_a_live_lease_is_not_claimed(sessions: Sessions, make_run: MakeRun) -> None:
    assert claim(sessions, make_run(worker="first").id) is None


def test_a_run_with_an_expired_lease_is_claimed_with_a_higher_attempt(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire
) -> None:
    first = make_run(worker="first")
    expire_lease(first.id)
    second = claim(sessions, first.id, "second")
    assert second is not None
    assert (second.attempt, second.worker) == (2, "second")


def test_every_write_of_a_lost_attempt_is_refused(sessions: Sessions, make_run: MakeRun, expire_lease: Expire) -> None:
    first = make_run(worker="first")
    expire_lease(first.id)
    claim(sessions, first.id, "second")
    key: dict[str, Any] = {"run_id": first.id, "attempt": first.attempt}
    writes: list[Callable[[Session], object]] = [
        lambda s: runs.renew_lease(s, **key, lease_seconds=60),
        lambda s: runs.append_event(s, **key, body=Log(message="late")),
        lambda s: runs.record_start(s, **key, from_step=0, num_steps=10),
        lambda s: runs.record_step(s, **key, step=1, num_steps=10, metrics={}, seconds=1),
        lambda s: runs.clear_requests(s, **key, is_save=True),
        lambda s: runs.finish(s, **key, status=RunStatus.SUCCEEDED),
    ]
    before = read(sessions, first.id)
    for write in writes:
        with pytest.raises(LeaseLostError), transaction(sessions) as session:
            write(session)
    after = read(sessions, first.id)
    assert (after.num_events, after.status, after.step) == (before.num_events, "running", 0)


def test_a_requeued_attempt_cannot_write_before_anyone_else_has_claimed(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire
) -> None:
    row = make_run(worker="first")
    expire_lease(row.id)
    with transaction(sessions) as session:
        assert runs.requeue_lost(session) == [row.id]
    with pytest.raises(LeaseLostError), transaction(sessions) as session:
        runs.append_event(session, run_id=row.id, attempt=row.attempt, body=Log(message="late"))


def test_the_heartbeat_holds_a_run_longer_and_tells_what_was_asked(
    sessions: Sessions, make_run: MakeRun, expire_lease: Expire
) -> None:
    row = make_run(worker="w")
    expire_lease(row.id)
    with transaction(sessions) as session:
        runs.request_pause(session, run_id=row.id)
    with transaction(sessions) as session:
        flags = runs.renew_lease(session, run_id=row.id, attempt=1, lease_seconds=60)
    assert flags.is_pause_requested
    with transaction(sessions) as session:
        assert runs.requeue_lost(session) == []


def test_events_have_no_gaps_when_two_threads_append(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")

    def append(name: str) -> None:
        for number in range(25):
            with transaction(sessions) as session:
                runs.append_event(session, run_id=row.id, attempt=1, body=Log(message=f"{name}{number}"))

    threads = [threading.Thread(target=append, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        seqs = list(session.scalars(select(EventRow.seq).where(EventRow.run_id == row.id).order_by(EventRow.seq)))
    assert seqs == list(range(1, 53))  # Created, claimed, and fifty lines.
    assert read(sessions, row.id).num_events == 52


def test_an_event_that_is_rolled_back_leaves_no_gap(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    with sessions() as session:
        runs.append_event(session, run_id=row.id, attempt=1, body=Log(message="dropped"))
        session.rollback()
    with transaction(sessions) as session:
        assert runs.append_event(session, run_id=row.id, attempt=1, body=Log(message="kept")) == 3


def test_a_step_event_is_stored_without_its_groups(
    sessions: Sessions, make_run: MakeRun, make_group: Callable[..., GroupRecord]
) -> None:
    row = make_run(worker="w")
    body = StepFinished(step=1, num_steps=10, metrics={"reward": float("nan")}, groups=(make_group(),), seconds=1)
    with transaction(sessions) as session:
        runs.append_event(session, run_id=row.id, attempt=1, body=body)
    with sessions() as session:
        stored = runs.list_events(session, run_id=row.id, after=2, limit=1)[0].to_wire().body
    assert isinstance(stored, StepFinished)
    assert stored.groups == ()
    assert stored.metrics == {"reward": None}


def test_a_log_line_with_a_nul_is_stored(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    with transaction(sessions) as session:
        runs.append_event(session, run_id=row.id, attempt=1, body=Log(message="a\x00b \\u0000"))
    with sessions() as session:
        stored = runs.list_events(session, run_id=row.id, after=2, limit=1)[0].to_wire().body
    assert stored == Log(message="a\ufffdb \\u0000")


def test_progress_shows_the_step_its_metrics_and_an_eta(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    step(sessions, row, 4, {"reward": 0.25, "loss": float("inf")})
    run = read(sessions, row.id).to_wire()
    assert (run.step, run.num_steps, run.latest_metrics) == (4, 10, {"reward": 0.25, "loss": None})
    assert run.eta_seconds == pytest.approx(12.0)


def test_a_resumed_attempt_removes_what_lies_beyond_its_step(
    sessions: Sessions, make_run: MakeRun, make_group: Callable[..., GroupRecord]
) -> None:
    row = make_run(worker="w")
    for number in (1, 2, 3):
        step(sessions, row, number)
        with transaction(sessions) as session:
            samples.add_groups(session, run_id=row.id, purpose="train", groups=[make_group(step=number)])
            saved = CheckpointSaved(step=number, sha256="s", num_bytes=1, state_hash="h", path=f"checkpoints/{number}")
            samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
    with transaction(sessions) as session:
        runs.record_start(session, run_id=row.id, attempt=1, from_step=2, num_steps=10)
    assert read(sessions, row.id).step == 2
    assert [count(sessions, table) for table in (MetricRow, GroupRow, SampleRow, CheckpointRow)] == [2, 2, 4, 2]


def test_a_step_that_is_recorded_again_is_counted_once(
    sessions: Sessions, make_run: MakeRun, make_group: Callable[..., GroupRecord]
) -> None:
    row = make_run(worker="w")
    for _ in range(2):
        step(sessions, row, 1)
        with transaction(sessions) as session:
            samples.add_groups(session, run_id=row.id, purpose="train", groups=[make_group()])
    assert [count(sessions, table) for table in (MetricRow, GroupRow, SampleRow)] == [1, 1, 2]


def test_retention_forgets_deleted_checkpoints(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    for number, deleted in ((10, ()), (20, ()), (30, (10,))):
        saved = CheckpointSaved(step=number, sha256="s", num_bytes=1, state_hash="h", path="p", deleted_steps=deleted)
        with transaction(sessions) as session:
            samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
    with sessions() as session:
        assert [each.step for each in runs.list_checkpoints(session, run_id=row.id, limit=9)] == [30, 20]
