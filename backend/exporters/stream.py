"""From a run's events to a sink: the numbers of a step, with what was measured after it, go out together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from backend.errors import UnavailableError
from backend.exporters.sink import Sink
from backend.schemas.event import Event, ScoreMeasured, StatusChanged, StepFinished
from backend.schemas.run import RunStatus


def export_events(events: Iterable[Event], sink: Sink) -> int:
    """Writes what the events tell beyond `sink.last_step`, and ends the tracker's run; gives the number of steps.

    A step goes out once the next one begins, for probes and scores of a step come after it. What a resumed attempt
    tells a second time is the same numbers, and is left out.

    Raises:
        UnavailableError: when the tracker stops answering; what it took by then stays there.
    """
    waiting: dict[int, dict[str, float]] = {}
    newest, written = sink.last_step, 0
    outcome: RunStatus | None = None
    try:
        for event in events:
            body = event.body
            if isinstance(body, StepFinished):
                written += _write(sink, waiting, before=body.step)
                newest = max(newest, body.step - 1)
                _note(waiting, newest, body.step, body.metrics)
            elif isinstance(body, ScoreMeasured):
                named = {f"{body.benchmark}/{body.policy}/{name}": value for name, value in body.values.items()}
                _note(waiting, newest, body.step, named)
            elif isinstance(body, StatusChanged) and body.status.is_terminal:
                outcome = body.status
        written += _write(sink, waiting, before=None)
    finally:
        with _answering(sink):
            sink.close(outcome=outcome)
    return written


def _note(waiting: dict[int, dict[str, float]], newest: int, step: int, values: dict[str, float | None]) -> None:
    if step > newest or step in waiting:
        known = waiting.setdefault(step, {})
        known |= {name: value for name, value in values.items() if value is not None}


def _write(sink: Sink, waiting: dict[int, dict[str, float]], *, before: int | None) -> int:
    ready = sorted(step for step in waiting if before is None or step < before)
    for step in ready:
        with _answering(sink):
            sink.write(step, waiting.pop(step))
    return len(ready)


@contextmanager
def _answering(sink: Sink) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Each package has errors of its own, of HTTP and of the file system, and none in common.
        raise UnavailableError(
            f"{sink.tracker} took the numbers up to step {sink.last_step} and does not answer any more: "
            f"{type(error).__name__}: {error}. Repeat the command once it does"
        ) from error
