"""What every worker process has: its sessions, its log's format, and the signs of life by which it is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from threading import Event
from uuid import UUID

import psutil
import structlog
from celery.signals import setup_logging
from sqlalchemy.orm import Session, sessionmaker

from backend.catalogue import repository as catalogue
from backend.db import build_engine, build_sessions, database_url, transaction
from backend.logs import configure_logging
from backend.machine import num_cores
from backend.settings import get_settings
from worker.heartbeat import DATABASE_IS_AWAY

_log = structlog.get_logger(__name__)


@cache
def sessions() -> sessionmaker[Session]:
    """The process's own sessions."""
    return build_sessions(build_engine(database_url(get_settings()), pool_size=4))


@setup_logging.connect  # type: ignore[untyped-decorator]
def log_in_our_format(**_: object) -> None:
    """Takes the place of Celery's own logging."""
    configure_logging(get_settings().log_format)


def tell_where_we_are(sessions: sessionmaker[Session], *, name: str, queue: str, run_id: UUID | None = None) -> None:
    """A sign of life."""
    with transaction(sessions) as session:
        catalogue.hear_from_worker(
            session,
            name=name,
            queue=queue,
            run_id=run_id,
            device="cuda" if shutil.which("nvidia-smi") else "cpu",
            num_cores=num_cores(),
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        )


def watch(tick: Callable[[], None], is_stopping: Event, pause: float) -> None:
    """Does the same again and again, `pause` seconds apart, until the worker stops; whatever goes wrong, it goes on."""
    while not is_stopping.is_set():
        try:
            tick()
        except DATABASE_IS_AWAY as error:
            _log.warning("the database is away", error=str(error))
        except Exception:
            # Broad, since a watch that ends takes the worker off the list while its process still looks healthy.
            _log.exception("the watch stumbled; it goes on", pause_seconds=pause)
        is_stopping.wait(pause)


def say_goodbye(sessions: sessionmaker[Session], *, name: str) -> None:
    """Takes a worker off the list."""
    try:
        with transaction(sessions) as session:
            catalogue.forget_worker(session, name=name)
    except DATABASE_IS_AWAY as error:
        _log.warning("the database is away, the worker leaves without a word", error=str(error))
