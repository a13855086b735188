"""The one Celery app, and the nudge it carries: a run's id, by task name. The run's row stays the truth."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from backend.settings import Settings, get_settings

EXECUTE_RUN = "worker.tasks.execute_run"
QUEUE = "runs"
DEFAULT_BROKER = "redis://127.0.0.1:6379/0"

log = logging.getLogger(__name__)


def _broker_url(settings: Settings) -> str:
    return settings.broker_url.get_secret_value() if settings.broker_url else DEFAULT_BROKER


def build_celery(broker_url: str) -> Celery:
    """The Celery app on a broker. Nothing is connected before the first message."""
    app = Celery("unmask")
    app.conf.update(
        broker_url=broker_url,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        # A message is acknowledged before the run is executed: a lost run is found by its lease, not by redelivery.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_timeout=2,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5, "max_retries": 1},
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    return app


celery_app = build_celery(_broker_url(get_settings()))


def send(run_id: UUID) -> bool:
    """Sends the nudge; False when the broker does not answer: the run stays queued and the next tick sends it again."""
    try:
        celery_app.send_task(EXECUTE_RUN, args=[str(run_id)], retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("the broker does not answer, run %s waits for the next tick: %s", run_id, error)
        return False
    return True
