"""Turns verdicts into mini-GenEval scores and says how sure they are. Knows neither pictures nor policies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.shapes.grammar import TASKS, TaskName
from worker.shapes.verifier import Verdict

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a share."""

    low: float
    high: float


@dataclass(frozen=True)
class TaskScore:
    """One task's share of correct pictures with its Wilson interval, and the share that also holds nothing extra."""

    accuracy: float
    interval: Interval
    strict_accuracy: float
    num_images: int


@dataclass(frozen=True)
class MiniGenEval:
    """The mean of the six tasks' accuracies, as in GenEval, and of their strict accuracies, and each task's own."""

    overall: float
    strict_overall: float
    by_task: dict[TaskName, TaskScore]


def mini_geneval(verdicts: Mapping[TaskName, Sequence[Verdict]]) -> MiniGenEval:
    """Score the verdicts of all six tasks; every task weighs the same, however many pictures it has."""
    missing = [task for task in TASKS if not verdicts.get(task)]
    if missing:
        raise ValueError(f"no verdicts for {', '.join(missing)}: the overall score is the mean of all six tasks")
    by_task = {task: _task_score(verdicts[task]) for task in TASKS}
    return MiniGenEval(
        overall=float(np.mean([score.accuracy for score in by_task.values()])),
        strict_overall=float(np.mean([score.strict_accuracy for score in by_task.values()])),
        by_task=by_task,
    )


def wilson_interval(num_successes: int, num_trials: int) -> Interval:
    """The 95 % Wilson score interval of a share, which stays within 0 to 1 and is honest at both ends."""
    if not 0 <= num_successes <= num_trials or num_trials == 0:
        raise ValueError(f"{num_successes} successes of {num_trials}: both must be counts, and at least one trial")
    share, z = num_successes / num_trials, NORMAL_95
    middle = (share + z**2 / (2 * num_trials)) / (1 + z**2 / num_trials)
    spread = math.sqrt(share * (1 - share) / num_trials + z**2 / (4 * num_trials**2))
    half_width = z * spread / (1 + z**2 / num_trials)
    return Interval(max(0.0, middle - half_width), min(1.0, middle + half_width))


def paired_difference(
    base: NDArray[np.float64],
    tuned: NDArray[np.float64],
    rng: np.random.Generator,
    num_resamples: int = 2000,
) -> tuple[float, float, float]:
    """Mean of tuned minus base, and its 95 % interval by a bootstrap over prompts.

    Both are scores (num_prompts, num_seeds) of the same prompts and seeds. Prompts are drawn, not pictures: those
    of one prompt resemble each other, and to count them as independent would make the interval too narrow.
    """
    if base.shape != tuned.shape or base.ndim != 2 or base.size == 0:
        raise ValueError(f"base {base.shape} and tuned {tuned.shape} must both be (num_prompts, num_seeds), not empty")
    if num_resamples < 1:
        raise ValueError(f"num_resamples is {num_resamples}: it must be at least 1")
    by_prompt = (np.asarray(tuned, dtype=np.float64) - np.asarray(base, dtype=np.float64)).mean(axis=1)
    drawn = rng.integers(len(by_prompt), size=(num_resamples, len(by_prompt)))
    low, high = np.quantile(by_prompt[drawn].mean(axis=1), [0.025, 0.975])
    return float(by_prompt.mean()), float(low), float(high)


def _task_score(verdicts: Sequence[Verdict]) -> TaskScore:
    """The shares of one task's verdicts."""
    num_correct = sum(verdict.is_correct for verdict in verdicts)
    return TaskScore(
        accuracy=num_correct / len(verdicts),
        interval=wilson_interval(num_correct, len(verdicts)),
        strict_accuracy=sum(verdict.is_strict for verdict in verdicts) / len(verdicts),
        num_images=len(verdicts),
    )
