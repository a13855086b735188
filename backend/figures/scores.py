"""Figures of scores by prompt and seed: shares with Wilson's intervals, means and paired differences by bootstrap.

A figure of one prompt has no interval. In the mean over tasks each task weighs the same, however many prompts it has.

Prompts are what is drawn anew in every bootstrap: the pictures of one prompt resemble each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.figures.intervals import mean_of_shares, mean_of_tasks, share_of_prompts, wilson_interval

Scores = NDArray[np.float64]
"""(num_prompts, num_seeds), NaN where nothing was measured"""


@dataclass(frozen=True)
class Figures:
    """Values by name, and the 95 % intervals of those that have one."""

    values: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __or__(self, other: Figures) -> Figures:
        return Figures(self.values | other.values, self.intervals | other.intervals)


def shares(tasks: Sequence[str | None], scores: Scores, overall: str, suffix: str = "") -> Figures:
    """The share of ones by task and the mean over the tasks, each with the interval that its prompts allow.

    Args:
        tasks: each prompt's; one without a task counts in none, and in `overall` only where no prompt has any.
        scores: (num_prompts, num_seeds) ones and zeros; a prompt with a NaN is left out.
        overall: the name of the mean over tasks, in which every task weighs the same.
        suffix: put after each task's name.
    """
    tasks, scores = _known(tasks, scores)
    if not len(scores):
        return Figures()
    by_task = rows_by_task(tasks)
    means_ = {f"{task}{suffix}": float(scores[rows].mean()) for task, rows in by_task.items()}
    intervals = {f"{task}{suffix}": share_of_prompts(scores[rows]) for task, rows in by_task.items()}
    mean = float(np.mean(list(means_.values()))) if by_task else float(scores.mean())
    of_all = mean_of_shares(list(means_.values()), list(intervals.values())) if by_task else share_of_prompts(scores)
    return Figures(
        {overall: mean, **means_},
        {overall: (of_all.low, of_all.high)} | {name: (each.low, each.high) for name, each in intervals.items()},
    )


def means(name: str, scores: Scores) -> Figures:
    """The mean of a score over all pictures, its interval by bootstrap over prompts; none where no prompt has it."""
    _, scores = _known([None] * len(scores), scores)
    if not len(scores):
        return Figures()
    return _mean(name, scores, [range(len(scores))])


def share_differences(
    tasks: Sequence[str | None], base: Scores, tuned: Scores, overall: str, suffix: str = ""
) -> Figures:
    """Tuned minus base by task and over all tasks, paired by prompt and seed."""
    tasks, difference = _known(tasks, tuned - base)
    if not len(difference):
        return Figures()
    by_task = rows_by_task(tasks)
    found = _mean(overall, difference, list(by_task.values()) or [range(len(difference))], limit=1.0)
    for task, rows in by_task.items():
        found |= _mean(f"{task}{suffix}", difference, [rows], limit=1.0)
    return found


def mean_differences(name: str, base: Scores, tuned: Scores) -> Figures:
    """Tuned minus base of a score, paired by prompt and seed; of the prompts that both have."""
    _, difference = _known([None] * len(base), tuned - base)
    return _mean(name, difference, [range(len(difference))]) if len(difference) else Figures()


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


def rows_by_task(tasks: Sequence[str | None]) -> Mapping[str, list[int]]:
    """The prompts of each task, in the order in which the tasks come."""
    found: dict[str, list[int]] = {}
    for row, task in enumerate(tasks):
        if task is not None:
            found.setdefault(task, []).append(row)
    return found


def _mean(name: str, scores: Scores, tasks: Sequence[Sequence[int]], limit: float = np.inf) -> Figures:
    """The mean over tasks of a score within `limit` of 0, with the bootstrap's interval where there is one."""
    by_prompt = scores.mean(axis=1)
    mean = float(np.mean([by_prompt[list(rows)].mean() for rows in tasks]))
    found = mean_of_tasks(by_prompt, tasks, np.random.default_rng(0))
    return Figures({name: mean}, {} if found is None else {name: (max(found.low, -limit), min(found.high, limit))})


def _known(tasks: Sequence[str | None], scores: Scores) -> tuple[list[str | None], Scores]:
    """Those prompts alone of which every picture has a score."""
    rows: list[int] = np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist()
    return [tasks[row] for row in rows], scores[rows]
