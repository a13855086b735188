"""Held-out mini-GenEval of a policy: fixed captions and seeds, judged, with intervals, and paired with a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.event import ScoreMeasured
from worker.jobs.showing import Shown, show
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy
from worker.shapes.captions import TASKS, Caption, TaskName
from worker.shapes.scoring import mini_geneval, paired_difference, wilson_interval
from worker.shapes.verifier import Verdict
from worker.shapes.world import IMAGE_SIZE

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What became of every picture: 1 or 0, or NaN where it is not made yet. Both (num_prompts, num_seeds)."""

    correct: Scores
    strict: Scores

    @staticmethod
    def none_yet(num_prompts: int, num_seeds: int) -> Outcomes:
        """Outcomes that are still to be measured."""
        return Outcomes(np.full((num_prompts, num_seeds), np.nan), np.full((num_prompts, num_seeds), np.nan))

    def enter(self, start: int, shown: Sequence[Shown]) -> None:
        """Fills in the verdicts of the captions from `start` on.

        Raises:
            ValueError: when the pictures are none that the verifier can judge.
        """
        for row, each in enumerate(shown, start):
            if not each.rewards.breakdown:
                height, width = each.pictures.shape[-2:]
                raise ValueError(
                    f"mini-GenEval judges the small world's pictures of {IMAGE_SIZE} x {IMAGE_SIZE} pixels, but this "
                    f"policy makes {height} x {width}: set probe.num_prompts to 0, or take a policy of the small world"
                )
            self.correct[row] = each.rewards.breakdown["correct"].numpy()
            self.strict[row] = each.rewards.breakdown["strict"].numpy()

    def to_state(self) -> dict[str, Any]:
        """Plain lists, for a checkpoint; -1 stands for NaN."""
        return {"correct": _to_lists(self.correct), "strict": _to_lists(self.strict)}

    @staticmethod
    def from_state(state: dict[str, Any]) -> Outcomes:
        """The inverse of `to_state`."""
        return Outcomes(_from_lists(state["correct"]), _from_lists(state["strict"]))


def heldout_seeds(run_seed: int, num_prompts: int, samples_per_prompt: int) -> list[tuple[int, ...]]:
    """The seeds of each caption's pictures: the same for every policy that is compared, and never the same twice."""
    return [
        tuple(derived_seed(run_seed, "held-out", row, sample) for sample in range(samples_per_prompt))
        for row in range(num_prompts)
    ]


def measure(
    policy: Policy,
    captions: Sequence[Caption],
    seeds: Sequence[tuple[int, ...]],
    sampling: SamplingConfig,
    batch_size: int,
    num_shown: int,
) -> tuple[Outcomes, list[Shown]]:
    """Judges a policy on all captions; gives the outcomes and the first captions' pictures."""
    outcomes = Outcomes.none_yet(len(captions), len(seeds[0]))
    kept: list[Shown] = []
    for start in range(0, len(captions), batch_size):
        part = slice(start, start + batch_size)
        shown = show(policy, [caption.text for caption in captions[part]], seeds[part], sampling)
        outcomes.enter(start, shown)
        kept += shown[: max(0, num_shown - len(kept))]
    return outcomes, kept


def score(step: int, policy: str, captions: Sequence[Caption], outcomes: Outcomes) -> ScoreMeasured:
    """Mini-GenEval; a task's intervals are Wilson's, the overall ones by bootstrap over captions."""
    num_prompts, num_seeds = outcomes.correct.shape
    result = mini_geneval({task: _verdicts(outcomes, rows) for task, rows in _rows_by_task(captions).items()})
    values: dict[str, float | None] = {"overall": result.overall, "strict": result.strict_overall}
    weight = _weights(captions)
    intervals = {
        "overall": _interval(0 * weight, outcomes.correct * weight),
        "strict": _interval(0 * weight, outcomes.strict * weight),
    }
    for task, own in result.by_task.items():
        strict = wilson_interval(round(own.strict_accuracy * own.num_images), own.num_images)
        values |= {task: own.accuracy, f"{task}_strict": own.strict_accuracy}
        intervals |= {task: (own.interval.low, own.interval.high), f"{task}_strict": (strict.low, strict.high)}
    return ScoreMeasured(
        step=step,
        policy=policy,
        values=values,
        intervals=intervals,
        num_prompts=num_prompts,
        samples_per_prompt=num_seeds,
    )


def difference(step: int, captions: Sequence[Caption], base: Outcomes, tuned: Outcomes) -> ScoreMeasured:
    """Tuned minus base on the same captions and seeds: a paired bootstrap over captions, and who won how often."""
    weight = _weights(captions)
    pairs = {
        "overall": (base.correct * weight, tuned.correct * weight),
        "strict": (base.strict * weight, tuned.strict * weight),
    }
    for task, rows in _rows_by_task(captions).items():
        pairs[task] = (base.correct[rows], tuned.correct[rows])
        pairs[f"{task}_strict"] = (base.strict[rows], tuned.strict[rows])
    values: dict[str, float | None] = {key: float((two - one).mean()) for key, (one, two) in pairs.items()}
    intervals = {key: _interval(one, two) for key, (one, two) in pairs.items()}
    num_wins = int((tuned.correct > base.correct).sum())
    num_losses = int((tuned.correct < base.correct).sum())
    values |= {"num_wins": num_wins, "num_losses": num_losses, "num_ties": base.correct.size - num_wins - num_losses}
    if num_wins + num_losses > 0:
        won = wilson_interval(num_wins, num_wins + num_losses)
        values["win_rate"], intervals["win_rate"] = num_wins / (num_wins + num_losses), (won.low, won.high)
    return ScoreMeasured(
        step=step,
        policy="difference",
        values=values,
        intervals=intervals,
        num_prompts=len(captions),
        samples_per_prompt=base.correct.shape[1],
    )


def _interval(base: Scores, tuned: Scores) -> tuple[float, float]:
    tuned = np.broadcast_to(tuned, np.broadcast_shapes(base.shape, tuned.shape))
    _, low, high = paired_difference(np.broadcast_to(base, tuned.shape), tuned, np.random.default_rng(0))
    return low, high


def _rows_by_task(captions: Sequence[Caption]) -> dict[TaskName, list[int]]:
    return {task: [row for row, caption in enumerate(captions) if caption.task == task] for task in TASKS}


def _weights(captions: Sequence[Caption]) -> Scores:
    """(num_prompts, 1): with these a mean over captions is the mean over the tasks, of which some have one more."""
    counts = {task: len(rows) for task, rows in _rows_by_task(captions).items()}
    shares = [len(captions) / (len(TASKS) * counts[caption.task]) for caption in captions]
    return np.array(shares, dtype=np.float64)[:, None]


def _verdicts(outcomes: Outcomes, rows: Sequence[int]) -> list[Verdict]:
    pairs = zip(outcomes.correct[rows].flat, outcomes.strict[rows].flat, strict=True)
    return [Verdict(bool(correct), float(correct), bool(strict), (), ()) for correct, strict in pairs]


def _to_lists(scores: Scores) -> list[list[int]]:
    filled: list[list[int]] = np.nan_to_num(scores, nan=-1).astype(int).tolist()
    return filled


def _from_lists(lists: list[list[int]]) -> Scores:
    filled = np.array(lists, dtype=np.float64)
    return np.where(filled < 0, np.nan, filled)
