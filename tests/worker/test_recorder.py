"""Events become rows in one transaction each, fenced by the attempt, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.errors import LeaseLostError
from backend.models import CheckpointRow, EventRow, GroupRow, MetricRow, RunRow, SampleRow
from backend.runs import repository as runs
from backend.schemas.event import (
    CheckpointSaved,
    JobStarted,
    Log,
    SamplesMade,
    ScoreMeasured,
    StatusChanged,
    StepFinished,
)
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord
from worker import recorder
from worker.recorder import Recorded

MakeGroup = Callable[..., GroupRecord]


class Attempt:
    """A claimed run and the number of its last event, as a runner holds them."""

    def __init__(self, sessions: sessionmaker[Session], row: RunRow) -> None:
        self.sessions = sessions
        self.row = row
        self.seq = row.num_events

    def record(self, body: runs.Body, after_seq: int | None = None) -> Recorded:
        with transaction(self.sessions) as session:
            after = self.seq if after_seq is None else after_seq
            recorded = recorder.record(session, self.row.id, self.row.attempt, body, after)
        self.seq = recorded.seq
        return recorded

    def run(self) -> RunRow:
        with transaction(self.sessions) as session:
            return runs.get_run(session, run_id=self.row.id)

    def metrics(self) -> dict[int, dict[str, float | None]]:
        with transaction(self.sessions) as session:
            rows, _ = runs.list_metrics(session, run_id=self.row.id, after_step=-1, max_points=100)
        return dict(rows)

    def age_events(self, seconds: float) -> None:
        """Has everything told so far lie longer ago."""
        with transaction(self.sessions) as session:
            age = text("UPDATE event SET created_at = created_at - make_interval(secs => :seconds)")
            session.execute(age, {"seconds": seconds})

    def count(self, table: type, **where: int) -> int:
        with transaction(self.sessions) as session:
            return session.scalar(select(func.count()).select_from(table).filter_by(run_id=self.row.id, **where)) or 0


@pytest.fixture
def attempt(sessions: sessionmaker[Session], make_run: Callable[..., RunRow]) -> Attempt:
    return Attempt(sessions, make_run(worker="w1"))


def step(number: int, make_group: MakeGroup | None = None) -> StepFinished:
    groups = (make_group(step=number),) if make_group else ()
    return StepFinished(step=number, num_steps=10, metrics={"loss": 0.5, "kl": None}, groups=groups, seconds=2.0)


def score(number: int, policy: str, overall: float) -> ScoreMeasured:
    values: dict[str, float | None] = {"overall": overall, "strict": overall / 2, "colors": 1.0}
    return ScoreMeasured(step=number, policy=policy, values=values, num_prompts=6, samples_per_prompt=1)


def saved(number: int, deleted: tuple[int, ...] = ()) -> CheckpointSaved:
    return CheckpointSaved(
        step=number, sha256="a", num_bytes=3, state_hash="b", path=f"checkpoints/{number:06d}", deleted_steps=deleted
    )


def test_a_step_becomes_metrics_groups_samples_progress_and_one_event(attempt: Attempt, make_group: MakeGroup) -> None:
    recorded = attempt.record(step(1, make_group))
    run = attempt.run()
    assert (run.step, run.num_steps, run.latest_metrics, run.seconds_per_step) == (
        1,
        10,
        {"loss": 0.5, "kl": None},
        2.0,
    )
    assert run.num_events == recorded.seq
    counts = [attempt.count(table) for table in (MetricRow, GroupRow, SampleRow)]
    assert counts == [1, 1, 2]
    with transaction(attempt.sessions) as session:
        event = session.get(EventRow, (run.id, recorded.seq))
        assert event is not None
        assert event.body["type"] == "step"
        assert event.body["groups"] == []


def test_an_event_whose_commit_was_answered_by_a_broken_connection_is_not_written_twice(
    attempt: Attempt, make_group: MakeGroup
) -> None:
    before = attempt.seq
    first = attempt.record(step(1, make_group))
    again = attempt.record(step(1, make_group), after_seq=before)
    assert again == first
    assert attempt.run().num_events == first.seq
    assert attempt.count(MetricRow) == 1


def test_a_resumed_attempt_takes_the_place_of_the_steps_after_its_checkpoint(
    attempt: Attempt, make_group: MakeGroup
) -> None:
    for number in (1, 2, 3):
        attempt.record(step(number, make_group))
    attempt.record(saved(2))
    attempt.record(JobStarted(from_step=2, num_steps=10))
    assert attempt.run().step == 2
    assert [attempt.count(table) for table in (MetricRow, GroupRow, SampleRow)] == [2, 2, 4]
    attempt.record(step(3, make_group))
    assert [attempt.count(table) for table in (MetricRow, GroupRow, SampleRow)] == [3, 3, 6]


def test_a_checkpoint_is_listed_once_and_those_that_retention_took_are_gone(attempt: Attempt) -> None:
    for number, deleted in ((1, ()), (2, ()), (3, (1,)), (3, (1,))):
        attempt.record(saved(number, deleted))
    with transaction(attempt.sessions) as session:
        query = select(CheckpointRow.step).where(CheckpointRow.run_id == attempt.row.id).order_by(CheckpointRow.step)
        assert list(session.scalars(query)) == [2, 3]


def test_wishes_are_told_with_the_reply_and_taken_back_when_fulfilled(attempt: Attempt, make_group: MakeGroup) -> None:
    with transaction(attempt.sessions) as session:
        runs.request_save(session, run_id=attempt.row.id)
        runs.request_sample(session, run_id=attempt.row.id)
    flags = attempt.record(step(1)).flags
    assert (flags.is_save_requested, flags.is_sample_requested) == (True, True)
    groups = (make_group(step=1),)
    flags = attempt.record(SamplesMade(step=1, purpose="sample_now", groups=groups, num_done=2, num_total=2)).flags
    assert (flags.is_save_requested, flags.is_sample_requested) == (True, False)
    flags = attempt.record(saved(1)).flags
    assert (flags.is_save_requested, flags.is_sample_requested) == (False, False)


def test_the_checkpoint_that_a_job_starts_from_fulfils_no_wish(attempt: Attempt) -> None:
    attempt.record(JobStarted(from_step=4, num_steps=10))
    with transaction(attempt.sessions) as session:
        runs.request_save(session, run_id=attempt.row.id)
    assert attempt.record(saved(4)).flags.is_save_requested
    assert attempt.record(step(5)).flags.is_save_requested
    assert not attempt.record(saved(5)).flags.is_save_requested


def test_a_checkpoint_that_is_told_again_keeps_its_time_and_its_attempt(
    attempt: Attempt, expire_lease: Callable[[UUID], None]
) -> None:
    def read() -> CheckpointRow:
        with transaction(attempt.sessions) as session:
            (row,) = runs.list_checkpoints(session, run_id=attempt.row.id, limit=2)
            return row

    attempt.record(step(1))
    attempt.record(saved(1))
    before = read()
    expire_lease(attempt.row.id)
    with transaction(attempt.sessions) as session:
        again = runs.claim(session, run_id=attempt.row.id, worker="w2", lease_seconds=60)
    assert again is not None
    successor = Attempt(attempt.sessions, again)
    successor.record(JobStarted(from_step=1, num_steps=10))
    successor.record(saved(1))
    after = read()
    assert (after.created_at, after.attempt) == (before.created_at, 1)


def test_the_held_out_curve_lies_among_the_metrics_the_base_at_step_0(attempt: Attempt) -> None:
    attempt.record(score(0, "base", 0.25))
    attempt.record(step(1))
    attempt.record(score(1, "policy", 0.5))
    attempt.record(score(1, "difference", 0.25))
    assert attempt.metrics() == {
        0: {"heldout/overall": 0.25, "heldout/strict": 0.125},
        1: {"loss": 0.5, "kl": None, "heldout/overall": 0.5, "heldout/strict": 0.25},
    }
    assert attempt.run().latest_metrics == {"loss": 0.5, "kl": None}
    attempt.record(JobStarted(from_step=0, num_steps=10))
    assert list(attempt.metrics()) == [0]


def test_a_lost_attempt_adds_no_held_out_score(attempt: Attempt, expire_lease: Callable[[UUID], None]) -> None:
    attempt.record(step(1))
    expire_lease(attempt.row.id)
    with transaction(attempt.sessions) as session:
        runs.requeue_lost(session)
    with pytest.raises(LeaseLostError):
        attempt.record(score(1, "policy", 0.5))
    assert attempt.metrics() == {1: {"loss": 0.5, "kl": None}}


def test_only_training_has_a_held_out_curve(sessions: sessionmaker[Session]) -> None:
    config = EvaluateConfig()
    with transaction(sessions) as session:
        row = runs.create_run(session, config=config, kind="evaluate", name="an evaluation")
        claimed = runs.claim(session, run_id=row.id, worker="w1", lease_seconds=60)
    assert claimed is not None
    attempt = Attempt(sessions, claimed)
    attempt.record(score(1, "policy", 0.5))
    assert attempt.metrics() == {}


def test_the_remaining_time_counts_what_comes_between_the_steps(attempt: Attempt) -> None:
    attempt.record(step(1))
    assert attempt.run().seconds_per_step == 2.0, "nothing else is known after one step"
    attempt.age_events(30)
    attempt.record(step(2))
    assert attempt.run().seconds_per_step == pytest.approx(30, abs=1)
    attempt.age_events(50)
    attempt.record(step(3))
    assert attempt.run().eta_seconds == pytest.approx(7 * 40, abs=10)


def test_the_time_between_two_attempts_slows_nothing_down(
    attempt: Attempt, expire_lease: Callable[[UUID], None]
) -> None:
    for number in (1, 2):
        attempt.record(step(number))
        attempt.age_events(10)
    attempt.age_events(9000)
    expire_lease(attempt.row.id)
    with transaction(attempt.sessions) as session:
        again = runs.claim(session, run_id=attempt.row.id, worker="w2", lease_seconds=60)
    assert again is not None
    successor = Attempt(attempt.sessions, again)
    successor.record(step(3))
    assert successor.run().seconds_per_step == pytest.approx(10, abs=1)


def test_probe_pictures_stand_beside_the_steps_own_groups(attempt: Attempt, make_group: MakeGroup) -> None:
    attempt.record(step(1, make_group))
    for policy in ("base", "policy"):
        groups = (make_group(step=1, policy=policy),)
        attempt.record(SamplesMade(step=1, purpose="probe", groups=groups, num_done=1, num_total=1))
    assert attempt.count(GroupRow, step=1) == 3


def test_an_outcome_ends_the_run(attempt: Attempt) -> None:
    attempt.record(StatusChanged(status=RunStatus.SUCCEEDED))
    run = attempt.run()
    assert run.status == "succeeded"
    assert run.lease_expires_at is None
    with pytest.raises(LeaseLostError):
        attempt.record(Log(message="too late"))


def test_a_lost_attempt_writes_nothing_not_even_a_part(
    attempt: Attempt, make_group: MakeGroup, expire_lease: Callable[[UUID], None]
) -> None:
    expire_lease(attempt.row.id)
    with transaction(attempt.sessions) as session:
        assert runs.claim(session, run_id=attempt.row.id, worker="w2", lease_seconds=60) is not None
    events = attempt.run().num_events
    with pytest.raises(LeaseLostError):
        attempt.record(step(1, make_group), after_seq=events)
    with pytest.raises(LeaseLostError):
        attempt.record(step(1, make_group))
    assert attempt.run().num_events == events
    assert [attempt.count(table) for table in (MetricRow, GroupRow, SampleRow)] == [0, 0, 0]


def test_an_attempt_that_was_found_lost_is_not_told_that_its_event_is_recorded(
    attempt: Attempt, expire_lease: Callable[[UUID], None]
) -> None:
    expire_lease(attempt.row.id)
    with transaction(attempt.sessions) as session:
        runs.requeue_lost(session)
    assert attempt.run().num_events > attempt.seq
    with pytest.raises(LeaseLostError):
        attempt.record(step(1))


def test_an_outcome_whose_commit_was_answered_by_a_broken_connection_stands(attempt: Attempt) -> None:
    before = attempt.seq
    body = StatusChanged(status=RunStatus.SUCCEEDED)
    attempt.record(body)
    attempt.record(body, after_seq=before)
    assert attempt.run().status == "succeeded"
