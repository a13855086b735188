"""Held-out mini-GenEval of a policy: fixed captions and seeds, judged, with intervals, and paired with a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.figures.scores import Figures, Scores, share_differences, shares, wins
from backend.schemas.algorithm import SamplingConfig
from backend.schemas.event import ScoreMeasured
from worker.jobs.showing import Shown, show
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy
from worker.shapes.captions import Caption
from worker.shapes.world import IMAGE_SIZE


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
    """Mini-GenEval by task and over all tasks, each with its interval: see `backend.figures.scores.shares`."""
    tasks = [caption.task for caption in captions]
    found = shares(tasks, outcomes.correct, "overall") | shares(tasks, outcomes.strict, "strict", "_strict")
    return _measured(step, policy, found, outcomes)


def difference(step: int, captions: Sequence[Caption], base: Outcomes, tuned: Outcomes) -> ScoreMeasured:
    """Tuned minus base on the same captions and seeds: a paired bootstrap over captions, and who won how often."""
    tasks = [caption.task for caption in captions]
    found = share_differences(tasks, base.correct, tuned.correct, "overall")
    found |= share_differences(tasks, base.strict, tuned.strict, "strict", "_strict")
    return _measured(step, "difference", found | wins(base.correct, tuned.correct), tuned)


def _measured(step: int, policy: str, figures: Figures, outcomes: Outcomes) -> ScoreMeasured:
    num_prompts, num_seeds = outcomes.correct.shape
    return ScoreMeasured(
        step=step,
        policy=policy,
        values=figures.values,
        intervals=figures.intervals,
        num_prompts=num_prompts,
        samples_per_prompt=num_seeds,
    )


def _to_lists(scores: Scores) -> list[list[int]]:
    filled: list[list[int]] = np.nan_to_num(scores, nan=-1).astype(int).tolist()
    return filled


def _from_lists(lists: list[list[int]]) -> Scores:
    filled = np.array(lists, dtype=np.float64)
    return np.where(filled < 0, np.nan, filled)
