"""Turns a job's events into rows, one transaction an event, every write fenced by the attempt. Knows no process."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from backend.runs import repository as runs
from backend.samples import repository as samples
from backend.schemas.event import CheckpointSaved, JobStarted, SamplesMade, ScoreMeasured, StatusChanged, StepFinished
from backend.schemas.every_run import RunKind
from backend.schemas.run import RequestFlags


@dataclass(frozen=True)
class Recorded:
    """What the job and the next call need to know."""

    seq: int
    """the event's number; later events have higher ones"""
    flags: RequestFlags
    """what was asked of the run meanwhile"""


def record(session: Session, run_id: UUID, attempt: int, body: runs.Body, after_seq: int) -> Recorded:
    """Writes an event and what it means into the caller's transaction.

    `after_seq` is the number of the attempt's last event. Where the run has moved on beyond it, this event was
    committed by a try whose answer was lost with the connection, and is not written again.

    Raises:
        LeaseLostError: when the attempt no longer holds the run; nothing may be committed then.
    """
    row = runs.lock_run(session, run_id=run_id)
    if row.num_events > after_seq and _is_written(session, run_id, attempt, body, after_seq):
        return Recorded(after_seq + 1, row.flags)
    if isinstance(body, StatusChanged):
        row = runs.finish(session, run_id=run_id, attempt=attempt, status=body.status, reason=body.reason)
        return Recorded(row.num_events, row.flags)
    seq = runs.append_event(session, run_id=run_id, attempt=attempt, body=body)
    _write_rows(session, run_id, attempt, body)
    if isinstance(body, ScoreMeasured) and row.kind == RunKind.TRAIN:
        _write_scores(session, run_id, attempt, body)
    return Recorded(seq, runs.get_run(session, run_id=run_id).flags)


def _is_written(session: Session, run_id: UUID, attempt: int, body: runs.Body, after_seq: int) -> bool:
    """Whether the event after `after_seq` is this one. It may be another: that the attempt was found lost, say."""
    (event,) = runs.list_events(session, run_id=run_id, after=after_seq, limit=1)
    place = {"type": body.type, "step": getattr(body, "step", None), "status": getattr(body, "status", None)}
    return event.attempt == attempt and all(event.body.get(name) == value for name, value in place.items())


def _write_rows(session: Session, run_id: UUID, attempt: int, body: runs.Body) -> None:
    if isinstance(body, JobStarted):
        runs.record_start(session, run_id=run_id, attempt=attempt, from_step=body.from_step, num_steps=body.num_steps)
    elif isinstance(body, StepFinished):
        runs.record_step(
            session,
            run_id=run_id,
            attempt=attempt,
            step=body.step,
            num_steps=body.num_steps,
            metrics=body.metrics,
            seconds=body.seconds,
        )
        samples.add_groups(session, run_id=run_id, purpose=samples.TRAIN, groups=body.groups)
    elif isinstance(body, SamplesMade):
        samples.add_groups(session, run_id=run_id, purpose=body.purpose, groups=body.groups)
        if body.purpose == "sample_now":
            runs.clear_requests(session, run_id=run_id, attempt=attempt, is_sample=True)
    elif isinstance(body, CheckpointSaved):
        samples.add_checkpoint(session, run_id=run_id, attempt=attempt, saved=body)
        # The one that a job starts from is told again; whoever asked for one since then wants a newer one.
        if runs.is_new_checkpoint(session, run_id=run_id, attempt=attempt):
            runs.clear_requests(session, run_id=run_id, attempt=attempt, is_save=True)


def _write_scores(session: Session, run_id: UUID, attempt: int, body: ScoreMeasured) -> None:
    """The held-out curve lies among the metrics: the base at step 0, then the policy at each probe."""
    if body.policy == "policy" or (body.policy == "base" and body.step == 0):
        values = {f"heldout/{name}": body.values.get(name) for name in ("overall", "strict")}
        runs.record_scores(session, run_id=run_id, attempt=attempt, step=body.step, values=values)
