"""Holds a run's lease from a thread of its own, while the runner waits for its job. Knows no job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.errors import LeaseLostError
from backend.runs import repository as runs

DATABASE_IS_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Renews the lease of one attempt until it is left, or until the lease is lost."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        run_id: UUID,
        attempt: int,
        *,
        heartbeat_seconds: float,
        lease_seconds: float,
        claimed_at: float,
        on_lost: Callable[[], None],
    ) -> None:
        self._sessions = sessions
        self._run_id = run_id
        self._attempt = attempt
        self._heartbeat_seconds = heartbeat_seconds
        self._lease_seconds = lease_seconds
        self._deadline = claimed_at + lease_seconds
        self._on_lost = on_lost
        self._has_ended = threading.Event()
        self._is_lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {run_id}", daemon=True)

    @property
    def is_lost(self) -> bool:
        """True when the run may belong to somebody else by now."""
        return self._is_lost.is_set()

    @property
    def seconds_left(self) -> float:
        """How long the lease surely lasts, by the last renewal that succeeded; below 0 when it may be over."""
        return self._deadline - time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._has_ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._has_ended.wait(min(self._heartbeat_seconds, max(self.seconds_left, 0.1))):
            if not self._renew():
                self._is_lost.set()
                self._on_lost()
                return

    def _renew(self) -> bool:
        began = time.monotonic()  # The lease is counted from before the question: never longer than the database does.
        try:
            with transaction(self._sessions) as session:
                runs.renew_lease(session, run_id=self._run_id, attempt=self._attempt, lease_seconds=self._lease_seconds)
        except LeaseLostError:
            return self._has_ended.is_set()  # A run that was just finished is no longer held, and that is well.
        except DATABASE_IS_AWAY as error:
            _log.warning("heartbeat failed", run_id=str(self._run_id), seconds_left=self.seconds_left, error=str(error))
            return self.seconds_left > 0
        self._deadline = began + self._lease_seconds
        return True
