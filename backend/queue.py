"""The one Celery app, its two queues, and the nudges they carry: an id, by task name. The rows stay the truth.

Runs take minutes to days, so what a person waits for has a queue and a worker of its own.
"""

from __future__ import annotations

import logging
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from backend.settings import Settings, get_settings

EXECUTE_RUN = "worker.tasks.execute_run"
DECODE_FRAMES = "worker.interactive.decode_frames"
TEST_REWARDS = "worker.interactive.answer_reward_test"
RUN_QUEUE = "runs"
INTERACTIVE_QUEUE = "interactive"
DEFAULT_BROKER = "redis://127.0.0.1:6379/0"

log = logging.getLogger(__name__)


def _broker_url(settings: Settings) -> str:
    return settings.broker_url.get_secret_value() if settings.broker_url else DEFAULT_BROKER


def build_celery(broker_url: str) -> Celery:
    """The Celery app on a broker. Nothing is connected before the first message."""
    app = Celery("unmask")
    app.conf.update(
        broker_url=broker_url,
        task_default_queue=RUN_QUEUE,
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
    return _send(EXECUTE_RUN, run_id, RUN_QUEUE)


def send_interactive(task: str, subject: UUID) -> bool:
    """Sends a nudge for something that a person waits for; False when the broker does not answer."""
    return _send(task, subject, INTERACTIVE_QUEUE)


def _send(task: str, subject: UUID, queue: str) -> bool:
    try:
        celery_app.send_task(task, args=[str(subject)], queue=queue, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("the broker does not answer, %s of %s waits for the next tick: %s", task, subject, error)
        return False
    return True
