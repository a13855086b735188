"""Decoded frames on request: who asks, where it stands, and what stands in the way. `files` reads the pictures."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.orm import Session

from backend import queue
from backend.db import after_commit
from backend.errors import ConflictError, UnavailableError
from backend.models import FramesRow
from backend.samples import frames_repository as repository
from backend.samples.files import SampleFiles
from backend.schemas.sample import FramesState, SampleFrames

# A broker that was restarted is back within a second; the worker asks it again every five.
_BROKER_PATIENCE_SECONDS = 15.0


def request_frames(session: Session, files: SampleFiles) -> SampleFrames:
    """Has a sample's frames decoded, once however often it is asked; the message leaves after the commit.

    Raises:
        NotFoundError: when there is no trajectory to decode from.
        UnavailableError: when no interactive worker is there; nothing is queued then.
    """
    if files.is_decoded:
        return read_frames(session, files)
    num_steps = files.num_steps
    refuse_without_worker(session)
    row = repository.request_frames(session, sample_id=files.sample.id)
    if row.sent_at is None:
        after_commit(session, _nudge(row.sample_id))
    return _frames_of(row, num_steps)


def read_frames(session: Session, files: SampleFiles) -> SampleFrames:
    """Where the decoding stands.

    Raises:
        ConflictError: when it failed, with the reason and the cure.
        UnavailableError: when it waits for somebody who is not there.
    """
    row = repository.get_frames(session, sample_id=files.sample.id)
    num_steps = files.num_steps
    if files.is_decoded:
        return SampleFrames(
            sample_id=files.sample.id,
            state=FramesState.DECODED,
            num_done=num_steps,
            num_steps=num_steps,
            seconds=None if row is None else _seconds(row),
        )
    if row is None or row.state == FramesState.DECODED:
        return SampleFrames(sample_id=files.sample.id, state=FramesState.COMPOSED, num_done=0, num_steps=num_steps)
    if row.state == FramesState.FAILED:
        raise ConflictError(f"the frames of sample {row.sample_id} could not be decoded: {row.error}")
    refuse_without_worker(session)
    if repository.seconds_unsent(session, sample_id=row.sample_id) > _BROKER_PATIENCE_SECONDS:
        raise UnavailableError(
            f"the broker has not taken the request for {_BROKER_PATIENCE_SECONDS:.0f} s: see whether it runs, and "
            "whether BROKER_URL is right. The request stands and is sent once the broker answers"
        )
    return _frames_of(row, num_steps)


def _frames_of(row: FramesRow, num_steps: int) -> SampleFrames:
    return SampleFrames(
        sample_id=row.sample_id, state=FramesState(row.state), num_done=row.num_done, num_steps=num_steps
    )


def _seconds(row: FramesRow) -> float | None:
    if row.state != FramesState.DECODED or row.started_at is None or row.finished_at is None:
        return None
    return round((row.finished_at - row.started_at).total_seconds(), 3)


def refuse_without_worker(session: Session) -> None:
    """Refuses what a person would wait for in vain.

    Raises:
        UnavailableError: when no interactive worker was heard from lately.
    """
    if not repository.is_worker_there(session):
        raise UnavailableError(
            f"no interactive worker was heard from for {repository.SILENT_AFTER_SECONDS:.0f} s, so nobody would do "
            "it: `unmask up` starts one, and so does `docker compose up interactive`; where it should run, its "
            "lines in the log say why it does not. Then ask again"
        )


def _nudge(sample_id: UUID) -> Callable[[Session], None]:
    def send(session: Session) -> None:
        if queue.send_interactive(queue.DECODE_FRAMES, sample_id):
            repository.mark_sent(session, sample_id=sample_id)

    return send
