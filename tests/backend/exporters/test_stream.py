"""What goes out: each step once, whole, in order, and only what an earlier export has not sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from backend.errors import StudioError, UnavailableError
from backend.exporters import RunFacts, Tracker, export_events, open_sink
from backend.schemas.event import Event, StatusChanged
from backend.schemas.run import RunStatus
from tests.backend.shell import Shell


class Notebook:
    """A sink that remembers."""

    tracker = Tracker.MLFLOW

    def __init__(self, last_step: int = -1) -> None:
        self.last_step = last_step
        self.pages: list[tuple[int, dict[str, float]]] = []
        self.end: object = "open"

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.pages.append((step, dict(values)))
        self.last_step = step

    def close(self, *, outcome: RunStatus | None) -> None:
        self.end = outcome


def test_each_step_goes_out_once_with_what_was_measured_after_it(events: list[Event]) -> None:
    sink = Notebook()
    assert export_events(events, sink) == 4
    assert sink.pages == [
        (0, {"mini-geneval/base/overall": 0.5}),
        (1, {"reward/mean": 0.25, "ratio (odd)": 1.0}),
        (2, {"reward/mean": 0.5, "ratio (odd)": 1.0}),
        (3, {"reward/mean": 0.75, "ratio (odd)": 1.0, "mini-geneval/policy/overall": 0.5}),
    ]
    assert sink.end is RunStatus.SUCCEEDED


def test_an_export_goes_on_where_an_earlier_one_stopped(events: list[Event]) -> None:
    sink = Notebook(last_step=2)
    assert export_events(events, sink) == 1
    assert [step for step, _ in sink.pages] == [3]


def test_a_step_waits_for_the_next_one_and_what_is_known_goes_out_when_the_stream_breaks(events: list[Event]) -> None:
    sink = Notebook()

    def broken() -> Iterator[Event]:
        yield from events[:3]
        assert [step for step, _ in sink.pages] == [0], "step 1 may still be scored"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        export_events(broken(), sink)
    assert sink.end is None, "ours goes on"


def test_a_tracker_that_stops_answering_is_told_with_what_it_took(events: list[Event]) -> None:
    class Failing(Notebook):
        def write(self, step: int, values: Mapping[str, float]) -> None:
            if step == 2:
                raise ConnectionError("connection refused")
            super().write(step, values)

    with pytest.raises(StudioError, match=r"mlflow took the numbers up to step 1 .* connection refused.*Repeat"):
        export_events(events, Failing())


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_a_person_cancelled_is_no_failed_one(events: list[Event], status: RunStatus) -> None:
    sink = Notebook()
    export_events([*events[:-1], events[-1].model_copy(update={"body": StatusChanged(status=status)})], sink)
    assert sink.end is status


def test_a_run_that_goes_on_is_left_open(events: list[Event]) -> None:
    sink = Notebook()
    export_events(events[:4], sink)
    assert [step for step, _ in sink.pages] == [0, 1, 2]
    assert sink.end is None


@pytest.mark.parametrize("tracker", list(Tracker))
def test_without_its_package_an_exporter_names_the_extra(
    tracker: Tracker, facts: RunFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, tracker.value, None)
    with pytest.raises(UnavailableError, match=rf"pip install 'unmask-studio\[{tracker}\]'"):
        open_sink(tracker, facts, project="p", uri=None)


def test_an_unknown_tracker_is_refused(shell: Shell) -> None:
    assert shell("export-metrics", "last", "--to", "paper") == 2
    assert "trackio" in shell.err
