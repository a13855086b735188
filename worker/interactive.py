"""The interactive worker: what a person waits for, one at a time: it decodes a sample's frames, and tests rewards.

An idle one costs nothing: torch comes with the first task. A thread tells that it is here and finds what was lost.
"""

from __future__ import annotations

import errno
import socket
import threading
from pathlib import Path
from uuid import UUID

import structlog
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.artifacts import run_folder, sha256_of
from backend.db import transaction
from backend.reward_tests.folder import FOLDER as REWARD_TESTS
from backend.reward_tests.folder import RewardTestFolder
from backend.samples import frames_repository as frames
from backend.samples.files import frames_path
from backend.schemas.config import run_config_adapter
from backend.settings import get_settings
from worker import presence
from worker.heartbeat import DATABASE_IS_AWAY

# Without the process's id: after a kill -9 the next one knows by it what its forerunner had in hand.
WORKER_NAME = f"interactive@{socket.gethostname()}"

_PAUSE_SECONDS = 5.0

_log = structlog.get_logger(__name__)
_is_stopping = threading.Event()
_hands = threading.Lock()


@queue.celery_app.task(name=queue.DECODE_FRAMES)  # type: ignore[untyped-decorator]
def decode_frames(sample_id: str) -> None:
    """Decodes a sample's frames; a message that comes twice, or too late, does nothing, and one that comes while the
    database is away is made good by the watch."""
    try:
        with _hands:
            decode_sample(presence.sessions(), get_settings().runs_dir, UUID(sample_id))
    except DATABASE_IS_AWAY as error:
        _log.warning("the database is away, the request waits", sample_id=sample_id, error=str(error))


@queue.celery_app.task(name=queue.TEST_REWARDS)  # type: ignore[untyped-decorator]
def answer_reward_test(test_id: str) -> None:
    """Asks rewards about a picture; a message that comes twice does nothing. What goes wrong is told on the test."""
    with _hands:
        perform_test(RewardTestFolder(get_settings().runs_dir.parent / REWARD_TESTS, UUID(test_id)))


def perform_test(folder: RewardTestFolder) -> None:
    """Performs a test that has no answer yet."""
    if not folder.path.is_dir() or folder.is_finished or not folder.begin():
        return
    # With the first task, not with the process: torch takes seconds and half a gigabyte.
    from worker.jobs.reward_test import answered  # noqa: PLC0415

    try:
        folder.finish(answered(folder, get_settings().runs_dir))
    except Exception as error:
        # Broad, since a person waits for an answer, whatever it is.
        _log.warning("rewards were not tested", test_id=str(folder.id), exc_info=not _is_told_in_full(error))
        folder.fail(words_of(error))


def decode_sample(sessions: sessionmaker[Session], runs_dir: Path, sample_id: UUID) -> None:
    """Performs a queued request: first the file, then its mark. What goes wrong is told on the request."""
    with transaction(sessions) as session:
        claimed = frames.claim(session, sample_id=sample_id, worker=WORKER_NAME)
    if claimed is None:
        return
    try:
        written = _write(sessions, runs_dir, claimed)
    except DATABASE_IS_AWAY:
        raise
    except Exception as error:
        # Broad, since a person waits for an answer, whatever it is.
        _log.warning("frames were not decoded", sample_id=str(sample_id), exc_info=not _is_told_in_full(error))
        with transaction(sessions) as session:
            frames.fail(session, sample_id=sample_id, error=words_of(error))
        return
    with transaction(sessions) as session:
        is_same = frames.finish(session, sample_id=sample_id, image_sha256=claimed.sample.image_sha256)
    if not is_same:
        # A resumed run made the sample anew: these are the frames of a picture that is gone.
        strip = run_folder(runs_dir, claimed.sample.run_id).path(frames_path(claimed.sample.image_path))
        # Where the run has written the new picture's own frames over them since, those are its job's.
        if strip.is_file() and sha256_of(strip) == written:
            strip.unlink()


def release_and_send(sessions: sessionmaker[Session]) -> None:
    """Queues again what no living worker has in hand, and sends the messages that never arrived or may be lost."""
    with transaction(sessions) as session:
        frames.requeue_lost(session)
        if _hands.acquire(blocking=False):
            try:
                frames.release(session, worker=WORKER_NAME)
            finally:
                _hands.release()
        unsent = frames.list_unsent(session)
    for sample_id in unsent:
        if not queue.send_interactive(queue.DECODE_FRAMES, sample_id):
            return
        with transaction(sessions) as session:
            frames.mark_sent(session, sample_id=sample_id)


def words_of(error: Exception) -> str:
    """An error in a sentence for the person who asked, with the cure."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space, then ask again; nothing half-written was left behind"
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is missing: put it back, then ask again"
    if _is_told_in_full(error):
        return str(error)
    return f"{type(error).__name__}: {error}; the interactive worker's lines in the log say where. Then ask again"


@worker_ready.connect  # type: ignore[untyped-decorator]
def start_watch(**_: object) -> None:
    """Begins to watch once the worker takes messages."""
    threading.Thread(target=_watch, name="watch", daemon=True).start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def stop_watch(**_: object) -> None:
    """Says no more that it is here; a task in hand is finished, or found again by the next worker."""
    _is_stopping.set()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def say_goodbye(**_: object) -> None:
    """Takes the worker off the list."""
    presence.say_goodbye(presence.sessions(), name=WORKER_NAME)


def _write(sessions: sessionmaker[Session], runs_dir: Path, claimed: frames.ClaimedFrames) -> str:
    """Decodes and writes the frames; returns the file's SHA-256."""
    # With the first task, not with the process: torch takes seconds and half a gigabyte.
    from worker.jobs.frames import find_tokenizer, write_frames  # noqa: PLC0415

    sample, group = claimed.sample, claimed.group
    folder = run_folder(runs_dir, sample.run_id)
    # As everywhere: a field that a newer version no longer has must not spoil the runs of an older one.
    config = run_config_adapter.validate_python(claimed.config, extra="ignore")
    assert group.trajectory_path is not None, "nobody can ask for frames of a sample without a trajectory"

    def tell(num_done: int) -> None:
        with transaction(sessions) as session:
            frames.tell_progress(session, sample_id=sample.id, num_done=num_done)

    tokenizer = find_tokenizer(config, folder, group.policy)
    return write_frames(folder, tokenizer, sample.image_path, group.trajectory_path, sample.index, tell)


def _is_told_in_full(error: Exception) -> bool:
    """Whether an error's own words name the value and the cure."""
    return isinstance(error, ValueError | OSError)


def _watch() -> None:
    presence.watch(_tick, _is_stopping, _PAUSE_SECONDS)


def _tick() -> None:
    presence.tell_where_we_are(presence.sessions(), name=WORKER_NAME, queue=queue.INTERACTIVE_QUEUE)
    release_and_send(presence.sessions())
