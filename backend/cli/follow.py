"""Follows a run's events to its end: a progress bar and plain sentences for people, one event a line for programs."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from backend.cli.output import err, number_text, print_json, print_json_line, status_text
from backend.cli.run_views import reward_of
from backend.client import StudioClient
from backend.schemas.event import (
    Alarm,
    CheckpointSaved,
    Event,
    JobStarted,
    Log,
    SamplesMade,
    ScoreMeasured,
    StatusChanged,
    StepFinished,
)
from backend.schemas.run import Run, RunStatus

SUCCEEDED, FAILED, INTERRUPTED = 0, 1, 130


def follow(
    client: StudioClient,
    run: Run,
    *,
    as_json: bool,
    on_event: Callable[[Event], None] = lambda event: None,
) -> int:
    """Shows a run's events until it ends; returns the exit code."""
    try:
        status = _follow_json(client, run.id, on_event) if as_json else _follow_people(client, run, on_event)
    except KeyboardInterrupt:
        err().print(f"\nThe run goes on. Follow it again: unmask run watch {run.id}")
        return INTERRUPTED
    if status is RunStatus.SUCCEEDED:
        return SUCCEEDED
    if not as_json:
        error = client.get_run(run.id).error
        err().print(f"The run {status.value}" + (f": {escape(error)}" if error else "."))
    return FAILED


def follow_quietly(
    client: StudioClient, run: Run, *, as_json: bool, keep: Callable[[Event], None] = lambda event: None
) -> int:
    """Follows a run whose result is printed at its end; with --json nothing else is, so events are only kept."""
    if not as_json:
        return follow(client, run, as_json=False, on_event=keep)
    tell_alarms(client, run)
    for event in client.watch(run.id):
        keep(event)
    ended = client.get_run(run.id)
    if ended.status is RunStatus.SUCCEEDED:
        return SUCCEEDED
    print_json(ended)
    return FAILED


def _follow_json(client: StudioClient, run_id: UUID, on_event: Callable[[Event], None]) -> RunStatus:
    for event in client.watch(run_id):
        print_json_line(event)
        on_event(event)
    return client.get_run(run_id).status


def _follow_people(client: StudioClient, run: Run, on_event: Callable[[Event], None]) -> RunStatus:
    console = err()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        view = _View(console, progress, progress.add_task(escape(run.name), total=run.num_steps or None, remark=""))
        for event in client.watch(run.id):
            view.show(event)
            on_event(event)
    return client.get_run(run.id).status


class _View:
    """What a person sees of each event."""

    def __init__(self, console: Console, progress: Progress, task: TaskID) -> None:
        self._console = console
        self._progress = progress
        self._task = task

    def show(self, event: Event) -> None:
        """Moves the bar or prints a sentence."""
        body = event.body
        if isinstance(body, StepFinished):
            reward = reward_of(body.metrics)
            self._move(body.step, body.num_steps, "" if reward is None else f"reward {number_text(reward)}")
        elif isinstance(body, SamplesMade):
            if body.purpose in ("sample", "evaluate"):
                self._move(body.num_done, body.num_total, "")
        elif isinstance(body, JobStarted):
            self._move(body.from_step, body.num_steps, "")
            if body.from_step:
                self._say(_resumed(body))
        else:
            self._say(_sentence(body))

    def _move(self, done: int, total: int, remark: str) -> None:
        self._progress.update(self._task, completed=done, total=total or None, remark=remark)

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True)


def tell_alarms(client: StudioClient, run: Run) -> None:
    """Says on stderr what a run was warned of when it was created."""
    events = client.list_events(run.id).data if run.attempt == 0 else []
    for event in events:
        if event.attempt == 0 and isinstance(event.body, Alarm):
            err().print(alarm_text(event.body), soft_wrap=True)


def alarm_text(body: Alarm) -> str:
    """An alarm as a sentence; one that was raised before any step names none."""
    place = f" at step {body.step}" if body.step else ""
    return f"[yellow]{body.severity.value}[/]{place}: {escape(body.message)} {escape(body.cure)}"


def _resumed(body: JobStarted) -> str:
    equal = ", state hash equal" if body.is_state_equal else ""
    return f"resumed at step {body.from_step}{equal}"


def _sentence(body: StatusChanged | CheckpointSaved | ScoreMeasured | Alarm | Log) -> str:
    if isinstance(body, StatusChanged):
        return status_text(body.status) + (f": {escape(body.reason)}" if body.reason else "")
    if isinstance(body, CheckpointSaved):
        return f"checkpoint of step {body.step} saved, {body.num_bytes / 2**20:.1f} MiB"
    if isinstance(body, ScoreMeasured):
        figures = "  ".join(f"{escape(name)} {number_text(value)}" for name, value in body.values.items())
        return f"{body.benchmark} of {escape(body.policy)} at step {body.step}: {figures}"
    if isinstance(body, Alarm):
        return alarm_text(body)
    return f"{body.level}: {escape(body.message)}"
