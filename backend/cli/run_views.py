"""Runs and groups as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml
from rich.markup import escape

from backend.cli.output import age_text, duration_text, number_text, out, print_table, status_text
from backend.schemas.base import Number
from backend.schemas.run import Run
from backend.schemas.sample import Group

_ASKED = {
    "is_cancel_requested": "cancel asked",
    "is_pause_requested": "pause asked",
    "is_save_requested": "save asked",
    "is_sample_requested": "pictures asked",
}


def reward_of(metrics: Mapping[str, Number]) -> float | None:
    """The mean reward among a step's metrics, where the kind of run has one."""
    return metrics.get("reward/mean", metrics.get("reward"))


def progress_text(run: Run) -> str:
    """The step, and of how many."""
    return f"{run.step}/{run.num_steps}" if run.num_steps else str(run.step)


def line_of(run: Run) -> str:
    """A run in one line."""
    asked = [words for flag, words in _ASKED.items() if getattr(run.flags, flag)]
    remark = f" ({', '.join(asked)})" if asked else ""
    return f"{run.id}  {escape(run.name)}  {status_text(run.status)}  step {progress_text(run)}{remark}"


def origin_text(run: Run) -> str:
    """Which recipe a run is based on, and what of it was changed."""
    if run.recipe_changes is None:
        return f"based on {run.recipe}, which is no longer shipped"
    if not run.recipe_changes:
        return f"recipe {run.recipe}, unchanged"
    number = len(run.recipe_changes)
    return f"based on {run.recipe}, {number} setting{'s' * (number > 1)} changed: {', '.join(run.recipe_changes)}"


def print_runs(runs: Sequence[Run]) -> None:
    """A table of runs; an id's last eight characters are enough for every command, and what the pages show."""
    rows = [
        (
            str(run.id)[-8:],
            escape(run.name),
            run.kind.value,
            status_text(run.status),
            progress_text(run),
            number_text(reward_of(run.latest_metrics)),
            age_text(run.created_at),
        )
        for run in runs
    ]
    columns = ("id", "name", "kind", "status", "step", "reward", "created")
    print_table(columns, rows, "No runs. Create one: unmask run create tiny-shapes --watch")


def print_run(run: Run) -> None:
    """All that a person wants to know of one run."""
    console = out()
    console.print(line_of(run))
    console.print(f"  kind {run.kind.value}, attempt {run.attempt}, created {age_text(run.created_at)}", end="")
    console.print(f", {duration_text(run.eta_seconds)} to go" if run.eta_seconds is not None else "")
    if run.recipe:
        console.print(f"  {escape(origin_text(run))}")
    if run.error:
        console.print(f"  [red]error[/]: {escape(run.error)}")
    if run.latest_metrics:
        rows = [(escape(name), number_text(value)) for name, value in sorted(run.latest_metrics.items())]
        print_table(("metric", "latest"), rows, "")
    console.print(escape(yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False)), end="")


def print_groups(groups: Sequence[Group]) -> None:
    """A table of groups."""
    rows = [
        (
            str(group.step),
            str(group.index),
            escape(group.prompt),
            number_text(group.mean_reward),
            number_text(group.reward_std),
            "kept" if group.is_kept else "filtered",
            escape(group.reason),
            " ".join(number_text(sample.reward) for sample in group.samples),
        )
        for group in groups
    ]
    columns = ("step", "group", "prompt", "mean", "spread", "", "why", "rewards, best first")
    print_table(columns, rows, "No groups are stored for this step.")
