"""Puts a reward model's report together: its accuracies, the ceiling, its calibration, and what makes them weak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.reward_report import FEWEST_HELDOUT_PROMPTS, PartCounts, RewardModelReport
from worker.preference_learning.groups import groups_of
from worker.preference_learning.judging import agreements, calibration, ceiling, paired_gain, share
from worker.preference_learning.likelihood import Array
from worker.preference_learning.pairs import Pair, PairSet
from worker.preference_learning.split import Split
from worker.preference_learning.stage import PreferenceStage

# Below these, intervals are so wide that only large effects show.
FEW_PAIRS, FEW_PROMPTS = 100, 30
CHANCE = 0.5


@dataclass(frozen=True)
class Made:
    """What the job knows of the files and the time."""

    base_sha256: str
    weights_sha256: str
    versions: dict[str, str]
    seconds: float


def report_of(
    config: RewardModelConfig,
    pair_set: PairSet,
    split: Split,
    stage: PreferenceStage,
    untuned: Sequence[float],
    made: Made,
) -> RewardModelReport:
    """Judge the weights in hand, those of the best step, on the held-out prompts.

    Args:
        config: the run's.
        pair_set: all pairs.
        split: its parts.
        stage: with the best step's weights in place.
        untuned: the untuned CLIP's score differences on the held-out pairs.
        made: what the report says of files and time.
    """
    assert stage.best is not None, "a stage is probed before its first step"
    return RewardModelReport(
        **_figures(split, stage.differences(split.heldout), np.array(untuned), stage.best.temperature),
        best_step=stage.best.step,
        centre=stage.mean_score(),
        learning=_counts([example.pair for example in split.learning]),
        choosing=_counts([example.pair for example in split.choosing]),
        heldout=_counts(split.heldout),
        num_raters=len(pair_set.raters),
        num_heldout_raters=len(split.heldout_raters),
        num_simulated_votes=sum(vote.is_simulated for pair in pair_set.pairs for vote in pair.votes),
        pair_set=pair_set.sha256,
        base=config.base,
        base_sha256=made.base_sha256,
        weights_sha256=made.weights_sha256,
        config=config,
        versions=made.versions,
        seconds=made.seconds,
        notes=tuple(_notes(split, pair_set, is_tuned=stage.best.step > 0)),
    )


def _figures(split: Split, differences: Array, untuned: Array, temperature: float) -> dict[str, Any]:
    """What the held-out prompts show."""
    groups = groups_of(split.heldout)
    everybody = [pair.preference() for pair in split.heldout]
    of_strangers = [pair.preference(split.heldout_raters) for pair in split.heldout]
    tuned, before = agreements(differences, everybody), agreements(untuned, everybody)
    accuracy = share(tuned, groups)
    people, model = ceiling(split.heldout, differences, groups)
    return {
        "is_better_than_chance": accuracy is not None and accuracy.low > CHANCE,
        "accuracy": accuracy,
        "accuracy_new_raters": share(agreements(differences, of_strangers), groups) if split.heldout_raters else None,
        "ceiling": people,
        "model_at_ceiling": model,
        "untuned": share(before, groups),
        "gain": paired_gain(tuned, before, groups),
        "calibration": calibration(differences, everybody, temperature),
    }


def _counts(pairs: Sequence[Pair]) -> PartCounts:
    return PartCounts(
        num_prompts=len({pair.prompt for pair in pairs}),
        num_pairs=len(pairs),
        num_votes=sum(len(pair.votes) for pair in pairs),
        num_ties=sum(pair.preference() == CHANCE for pair in pairs),
    )


def _notes(split: Split, pair_set: PairSet, *, is_tuned: bool) -> Iterator[str]:
    heldout, choosing = _counts(split.heldout), _counts([example.pair for example in split.choosing])
    if heldout.num_pairs - heldout.num_ties < FEW_PAIRS or heldout.num_prompts < FEW_PROMPTS:
        yield (
            f"Judged with {heldout.num_pairs - heldout.num_ties} decided pairs of {heldout.num_prompts} prompts: the "
            "intervals are wide, and a difference that they do not show may still be there."
        )
    if heldout.num_prompts < FEWEST_HELDOUT_PROMPTS:
        yield f"With fewer than {FEWEST_HELDOUT_PROMPTS} held-out prompts no accuracy can be told from chance."
    if choosing.num_pairs < FEW_PAIRS // 2:
        yield (
            f"Step and temperature were chosen by {choosing.num_pairs} pairs, so both, and with them the calibration, "
            "may be off."
        )
    if not pair_set.raters:
        yield "The pairs name no raters, so there is no human ceiling, and no rater is held out."
    elif not split.heldout_raters:
        yield "No rater is held out: how well the model does for people it never learned from is not known."
    if not is_tuned:
        yield "No step predicted the choosing prompts' votes better than the untuned CLIP, which is what is exported."
    num_votes = sum(len(pair.votes) for pair in pair_set.pairs)
    num_simulated = sum(vote.is_simulated for pair in pair_set.pairs for vote in pair.votes)
    if num_simulated:
        yield f"{num_simulated} of {num_votes} votes are simulated: no person cast them."
