"""The watch of a worker: nothing that goes wrong in it may end it, for nobody would see."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from types import ModuleType, SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from worker import interactive, presence, tasks

FAILURES = (RuntimeError("nobody foresaw this"), OperationalError("SELECT 1", {}, Exception("away")))


def failing_first(is_stopping: Event) -> Callable[..., None]:
    """Fails in each way once, then ends the watch."""
    left = list(FAILURES)

    def tick(*_: object, **__: object) -> None:
        if left:
            raise left.pop(0)
        is_stopping.set()

    return tick


def test_a_watch_tells_what_goes_wrong_with_its_trace_and_goes_on() -> None:
    is_stopping = Event()
    with capture_logs() as lines:
        presence.watch(failing_first(is_stopping), is_stopping, pause=0)
    assert is_stopping.is_set()
    assert [line["log_level"] for line in lines] == ["error", "warning"]
    assert lines[0]["exc_info"]


@pytest.mark.parametrize("worker", [tasks, interactive], ids=["tasks", "interactive"])
def test_each_workers_watch_outlives_a_failure(worker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    is_stopping = Event()
    monkeypatch.setattr(worker, "_is_stopping", is_stopping)
    monkeypatch.setattr(interactive, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(tasks, "_runner", lambda: SimpleNamespace(run_id=None))
    monkeypatch.setattr(tasks, "get_settings", lambda: SimpleNamespace(heartbeat_seconds=0, requeue_seconds=0))
    monkeypatch.setattr(presence, "sessions", lambda: None)
    monkeypatch.setattr(presence, "tell_where_we_are", failing_first(is_stopping))
    for name, module in (("requeue_lost_runs", tasks), ("release_and_send", interactive)):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    worker._watch()
    assert is_stopping.is_set()
