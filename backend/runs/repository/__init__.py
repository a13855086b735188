"""All SQL on runs, shared by API and worker: plain functions on the caller's session. The clock is the database's."""

from backend.runs.repository.attempts import (
    MAX_LOST_ATTEMPTS,
    append_event,
    claim,
    clear_requests,
    finish,
    lose,
    release,
    renew_lease,
    requeue_lost,
)
from backend.runs.repository.progress import (
    delete_after_step,
    is_new_checkpoint,
    record_scores,
    record_start,
    record_step,
)
from backend.runs.repository.queue import create_run, list_unsent, mark_sent
from backend.runs.repository.reads import (
    alarms_of,
    count_by_status,
    heads_of,
    list_checkpoints,
    list_events,
    list_metrics,
    list_runs,
    newest_event,
)
from backend.runs.repository.requests import (
    edit_run,
    request_cancel,
    request_pause,
    request_sample,
    request_save,
    resume,
)
from backend.runs.repository.rows import get_run, lock_run
from backend.schemas.event import Body

__all__ = [
    "MAX_LOST_ATTEMPTS",
    "Body",
    "alarms_of",
    "append_event",
    "claim",
    "clear_requests",
    "count_by_status",
    "create_run",
    "delete_after_step",
    "edit_run",
    "finish",
    "get_run",
    "heads_of",
    "is_new_checkpoint",
    "list_checkpoints",
    "list_events",
    "list_metrics",
    "list_runs",
    "list_unsent",
    "lock_run",
    "lose",
    "mark_sent",
    "newest_event",
    "record_scores",
    "record_start",
    "record_step",
    "release",
    "renew_lease",
    "request_cancel",
    "request_pause",
    "request_sample",
    "request_save",
    "requeue_lost",
    "resume",
]
