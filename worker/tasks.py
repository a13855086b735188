"""The worker process: one Celery task, and a thread that tells who is here and finds lost and forgotten runs.

Celery carries run ids only, in a pool of threads: the jobs are processes of their own, so nothing here imports torch.
"""

from __future__ import annotations

import os
import socket
import threading
from functools import cache
from uuid import UUID

import structlog
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.db import transaction
from backend.runs import repository as runs
from backend.settings import get_settings
from worker import presence
from worker.heartbeat import DATABASE_IS_AWAY
from worker.runner import Runner

WORKER_NAME = f"{socket.gethostname()}-{os.getpid()}"

_log = structlog.get_logger(__name__)
_is_stopping = threading.Event()


@cache
def _runner() -> Runner:
    return Runner(presence.sessions(), get_settings(), WORKER_NAME)


@queue.celery_app.task(name=queue.EXECUTE_RUN)  # type: ignore[untyped-decorator]
def execute_run(run_id: str) -> None:
    """Performs a run; a message that comes twice, or too late, does nothing, and one that comes while the database is
    away is made good by the watch, for the run's row stays queued."""
    try:
        _runner().execute(UUID(run_id))
        if not _is_stopping.is_set():
            requeue_lost_runs(presence.sessions())
    except DATABASE_IS_AWAY as error:
        _log.warning("the database is away, the run waits", run_id=run_id, error=str(error))


def requeue_lost_runs(sessions: sessionmaker[Session], *, is_idle: bool = True) -> None:
    """Queues the runs whose workers fell silent, and sends the messages that never arrived or may be lost.

    A busy worker sends none: nobody needs them until it is idle, and they would pile up at the broker meanwhile.
    """
    with transaction(sessions) as session:
        runs.requeue_lost(session)
        unsent = runs.list_unsent(session) if is_idle else []
    for run_id in unsent:
        if not queue.send(run_id):
            return
        with transaction(sessions) as session:
            runs.mark_sent(session, run_id=run_id)


@worker_ready.connect  # type: ignore[untyped-decorator]
def start_watch(**_: object) -> None:
    """Begins to watch once the worker takes messages."""
    threading.Thread(target=_watch, name="watch", daemon=True).start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def let_go(**_: object) -> None:
    """Ends the job in hand, so that its run is queued again at once and another worker goes on with it."""
    _is_stopping.set()
    _runner().stop()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def say_goodbye(**_: object) -> None:
    """Takes the worker off the list."""
    presence.say_goodbye(presence.sessions(), name=WORKER_NAME)


def _watch() -> None:
    settings = get_settings()
    pause = min(settings.heartbeat_seconds, settings.requeue_seconds)
    waited = settings.requeue_seconds

    def tick() -> None:
        nonlocal waited
        waited += pause
        run_id = _runner().run_id
        presence.tell_where_we_are(presence.sessions(), name=WORKER_NAME, queue=queue.RUN_QUEUE, run_id=run_id)
        if waited >= settings.requeue_seconds:
            requeue_lost_runs(presence.sessions(), is_idle=run_id is None)
            waited = 0.0

    presence.watch(tick, _is_stopping, pause)
