"""Figures of scores by prompt and seed: shares with Wilson's intervals, means and paired differences by bootstrap.

Prompts are what is drawn anew in every bootstrap: the pictures of one prompt resemble each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from worker.benchmarks.table import Scores
from worker.shapes.scoring import paired_difference, wilson_interval


@dataclass(frozen=True)
class Figures:
    """Values by name, and the 95 % intervals of those that have one."""

    values: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __or__(self, other: Figures) -> Figures:
        return Figures(self.values | other.values, self.intervals | other.intervals)


def shares(tasks: Sequence[str | None], scores: Scores, overall: str, suffix: str = "") -> Figures:
    """The share of ones by task with Wilson's interval, and the mean over the tasks with a bootstrapped one.

    Args:
        tasks: each prompt's; one without a task counts in none, and in `overall` only where no prompt has any.
        scores: (num_prompts, num_seeds) ones and zeros; a prompt with a NaN is left out.
        overall: the name of the mean over tasks, in which every task weighs the same.
        suffix: put after each task's name.
    """
    tasks, scores = _known(tasks, scores)
    if not len(scores):
        return Figures()
    found = Figures()
    by_task = rows_by_task(tasks)
    for task, rows in by_task.items():
        own = scores[rows]
        interval = wilson_interval(round(float(own.sum())), own.size)
        found.values[f"{task}{suffix}"] = float(own.mean())
        found.intervals[f"{task}{suffix}"] = (interval.low, interval.high)
    weighted = scores * task_weights(tasks)
    mean = float(np.mean([scores[rows].mean() for rows in by_task.values()])) if by_task else float(scores.mean())
    return Figures({overall: mean}, {overall: bootstrapped(weighted)}) | found


def means(name: str, scores: Scores) -> Figures:
    """The mean of a score over all pictures, its interval by bootstrap over prompts; none where no prompt has it."""
    _, scores = _known([None] * len(scores), scores)
    if not len(scores):
        return Figures()
    return Figures({name: float(scores.mean())}, {name: bootstrapped(scores)})


def share_differences(
    tasks: Sequence[str | None], base: Scores, tuned: Scores, overall: str, suffix: str = ""
) -> Figures:
    """Tuned minus base by task and over all tasks, paired by prompt and seed."""
    tasks, difference = _known(tasks, tuned - base)
    if not len(difference):
        return Figures()
    found = _difference(overall, difference * task_weights(tasks))
    for task, rows in rows_by_task(tasks).items():
        found |= _difference(f"{task}{suffix}", difference[rows])
    return found


def mean_differences(name: str, base: Scores, tuned: Scores) -> Figures:
    """Tuned minus base of a score, paired by prompt and seed; of the prompts that both have."""
    _, difference = _known([None] * len(base), tuned - base)
    return _difference(name, difference) if len(difference) else Figures()


def wins(base: Scores, tuned: Scores) -> Figures:
    """How often the tuned picture scores higher than the base's of the same prompt and seed, and its share of both."""
    num_wins, num_losses = int((tuned > base).sum()), int((tuned < base).sum())
    num_compared = int(np.isfinite(tuned - base).sum())
    found = Figures({"num_wins": num_wins, "num_losses": num_losses, "num_ties": num_compared - num_wins - num_losses})
    if num_wins + num_losses > 0:
        won = wilson_interval(num_wins, num_wins + num_losses)
        found.values["win_rate"] = num_wins / (num_wins + num_losses)
        found.intervals["win_rate"] = (won.low, won.high)
    return found


def bootstrapped(scores: Scores) -> tuple[float, float]:
    """The 95 % interval of a mean over (num_prompts, num_seeds), by bootstrap over prompts."""
    _, low, high = paired_difference(np.zeros_like(scores), scores, np.random.default_rng(0))
    return low, high


def rows_by_task(tasks: Sequence[str | None]) -> Mapping[str, list[int]]:
    """The prompts of each task, in the order in which the tasks come."""
    found: dict[str, list[int]] = {}
    for row, task in enumerate(tasks):
        if task is not None:
            found.setdefault(task, []).append(row)
    return found


def task_weights(tasks: Sequence[str | None]) -> Scores:
    """(num_prompts, 1): with these a mean over prompts is that of the tasks, of which some have more; 1 without any."""
    by_task = rows_by_task(tasks)
    if not by_task:
        return np.ones((len(tasks), 1))
    shares_ = [0.0 if task is None else len(tasks) / (len(by_task) * len(by_task[task])) for task in tasks]
    return np.array(shares_, dtype=np.float64)[:, None]


def _difference(name: str, difference: Scores) -> Figures:
    return Figures({name: float(difference.mean())}, {name: bootstrapped(difference)})


def _known(tasks: Sequence[str | None], scores: Scores) -> tuple[list[str | None], Scores]:
    """Those prompts alone of which every picture has a score."""
    rows: list[int] = np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist()
    return [tasks[row] for row in rows], scores[rows]
