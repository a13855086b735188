"""Performs a run: claims it, starts its job, records what it tells, and ends it. Knows no torch and no Celery."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.db import transaction
from backend.errors import LeaseLostError
from backend.models import RunRow
from backend.runs import repository as runs
from backend.schemas.event import Log, StatusChanged
from backend.schemas.run import RunStatus
from backend.settings import Settings
from worker import recorder
from worker.heartbeat import DATABASE_IS_AWAY, Heartbeat
from worker.job_process import JobProcess

_LONGEST_PAUSE = 5.0
_FOLDER_IS_BUSY = 75  # os.EX_TEMPFAIL, see worker/jobs/__main__.py

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class Runner:
    """One worker's hands: performs one run at a time, and lets go of it when the worker stops."""

    def __init__(self, sessions: sessionmaker[Session], settings: Settings, worker: str) -> None:
        self._sessions = sessions
        self._settings = settings
        self._worker = worker
        self._is_stopping = threading.Event()
        self._attempt: Attempt | None = None

    @property
    def run_id(self) -> UUID | None:
        """The run in hand."""
        attempt = self._attempt
        return None if attempt is None else attempt.run_id

    def stop(self) -> None:
        """The worker stops: the job in hand is ended and its run goes back to the queue, where its checkpoint waits."""
        self._is_stopping.set()
        attempt = self._attempt
        if attempt is not None:
            attempt.kill()

    def execute(self, run_id: UUID) -> None:
        """Performs a run to its end, or does nothing when it is not to be had. What a run does never raises here."""
        if self._is_stopping.is_set():
            return
        claimed_at = time.monotonic()
        with transaction(self._sessions) as session:
            row = runs.claim(session, run_id=run_id, worker=self._worker, lease_seconds=self._settings.lease_seconds)
        if row is None:
            return
        self._attempt = Attempt(self._sessions, self._settings, row, claimed_at, self._is_stopping)
        try:
            self._attempt.perform()
        except LeaseLostError as error:
            _log.warning("lease lost", run_id=str(run_id), attempt=row.attempt, error=str(error))
        except Exception as error:
            # The one broad except: a run's failure is told on the run and never ends the worker.
            _log.exception("attempt failed", run_id=str(run_id), attempt=row.attempt)
            self._attempt.give_up(f"the worker failed: {type(error).__name__}: {error}")
        finally:
            self._attempt = None


class Attempt:
    """One attempt at a run, under one fencing token."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        row: RunRow,
        claimed_at: float,
        is_stopping: threading.Event,
    ) -> None:
        self.run_id = row.id
        self._attempt = row.attempt
        self._config = row.config
        self._folder = run_folder(settings.runs_dir, row.id)
        self._seq = row.num_events
        self._sessions = sessions
        self._is_stopping = is_stopping
        self._job: JobProcess | None = None
        self._has_outcome = False
        self._error: str | None = None
        self._heartbeat = Heartbeat(
            sessions,
            row.id,
            row.attempt,
            heartbeat_seconds=settings.heartbeat_seconds,
            lease_seconds=settings.lease_seconds,
            claimed_at=claimed_at,
            on_lost=self.kill,
        )

    def perform(self) -> None:
        """Runs the job and records what it tells.

        Raises:
            LeaseLostError: when the run may belong to somebody else: the job is dead and nothing more is written.
        """
        with self._heartbeat:
            self._job = JobProcess(self._folder, self._config)
            try:
                if self._is_stopping.is_set():
                    self._job.kill()
                self._converse(self._job)
                self._conclude(self._job)
            finally:
                self._job.close()

    def kill(self) -> None:
        """Ends the job's process group, at once; `perform` notices and concludes."""
        if self._job is not None:
            self._job.kill()

    def give_up(self, error: str) -> None:
        """Fails the run, if it is still ours and the database answers; else its lease runs out by itself."""
        try:
            self._finish(error)
        except (LeaseLostError, *DATABASE_IS_AWAY):
            _log.warning("could not fail the run", run_id=str(self.run_id), error=error)

    def _converse(self, job: JobProcess) -> None:
        for body in job.events():
            if isinstance(body, Log) and body.level == "error":
                self._error = body.message
            recorded = self._record(body)
            if isinstance(body, StatusChanged):
                self._has_outcome = True
                return
            job.reply(recorded.flags)

    def _conclude(self, job: JobProcess) -> None:
        if self._has_outcome:
            return
        exit_code = job.wait()
        if self._heartbeat.is_lost:
            raise LeaseLostError(f"the lease of attempt {self._attempt} ran out")
        if self._is_stopping.is_set():
            self._release("the worker was stopped")
        elif exit_code == _FOLDER_IS_BUSY:
            self._release("a job of an earlier attempt still holds the run's folder")
        elif exit_code == -signal.SIGKILL:
            words = job.last_words()
            _log.warning("job killed", run_id=str(self.run_id), last_words=words)
            self._commit(
                lambda session: runs.lose(session, run_id=self.run_id, attempt=self._attempt, last_words=words)
            )
        else:
            self._finish(self._error or job.last_words())

    def _record(self, body: runs.Body) -> recorder.Recorded:
        recorded = self._commit(lambda session: recorder.record(session, self.run_id, self._attempt, body, self._seq))
        self._seq = recorded.seq
        return recorded

    def _release(self, reason: str) -> None:
        self._commit(lambda session: runs.release(session, run_id=self.run_id, attempt=self._attempt, reason=reason))

    def _finish(self, error: str) -> None:
        self._commit(
            lambda session: runs.finish(
                session, run_id=self.run_id, attempt=self._attempt, status=RunStatus.FAILED, error=error
            )
        )

    def _commit(self, write: Callable[[Session], Result]) -> Result:
        """One transaction; a database that is away is waited for as long as the lease surely lasts."""
        pause = 0.1
        while True:
            try:
                with transaction(self._sessions) as session:
                    return write(session)
            except DATABASE_IS_AWAY as error:
                is_over = self._heartbeat.is_lost or self._heartbeat.seconds_left < pause
                if is_over or self._is_stopping.is_set():
                    raise LeaseLostError(f"the database was away for too long: {error}") from error
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
