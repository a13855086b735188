"""What a reward model is worth on pairs that it never saw: accuracy, the human ceiling, calibration, with intervals.

Knows score differences and votes, no model. A pair's majority is what more than half of its votes chose; pairs without
one, ties, are left out of accuracies and counted. Intervals are 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.figures.intervals import wilson_interval
from backend.schemas.reward_report import Calibration, CalibrationBin, Share
from worker.preference_learning.likelihood import Array, pair_losses
from worker.preference_learning.pairs import Pair

NUM_RESAMPLES = 2000
NUM_BINS = 10


def agreements(differences: Array, preferences: Sequence[float | None]) -> Array:
    """Return (P,): 1 where the scores prefer what the majority does, a half where they are equal, else 0; NaN = tie."""
    found = np.full(len(preferences), np.nan)
    for place, (difference, preference) in enumerate(zip(differences, preferences, strict=True)):
        if preference is not None and preference != 0.5:
            found[place] = 0.5 if difference == 0 else float((difference > 0) == (preference > 0.5))
    return found


def share(values: Array, prompts: Sequence[str]) -> Share | None:
    """The mean of agreements and its interval: the wider, at each end, of Wilson's and a bootstrap over prompts.

    Pairs of one prompt resemble each other, which Wilson's does not know; a bootstrap of few pairs that are all right
    is sure of itself without reason, which Wilson's is not. None where there is nothing to average.
    """
    kept = ~np.isnan(values)
    if not kept.any():
        return None
    low, high = _bootstrap(values[kept], [prompt for prompt, is_kept in zip(prompts, kept, strict=True) if is_kept])
    count = int(kept.sum())
    wilson = wilson_interval(int(np.floor(values[kept].sum())), count)
    return Share(
        value=float(values[kept].mean()), low=min(low, wilson.low), high=max(high, wilson.high), num_pairs=count
    )


def paired_gain(tuned: Array, untuned: Array, prompts: Sequence[str]) -> Share | None:
    """Tuned minus untuned agreement on the same pairs, by a bootstrap over prompts."""
    kept = ~np.isnan(tuned)
    if not kept.any():
        return None
    gains = (tuned - untuned)[kept]
    low, high = _bootstrap(gains, [prompt for prompt, is_kept in zip(prompts, kept, strict=True) if is_kept])
    return Share(value=float(gains.mean()), low=low, high=high, num_pairs=int(kept.sum()))


def ceiling(pairs: Sequence[Pair], differences: Array) -> tuple[Share | None, Share | None]:
    """How often a person agrees with the majority of the others, and how often the model does with the same ones.

    Each vote of a pair is left out in turn and compared with the majority of the rest; a vote for neither counts a
    half. None where no pair has a vote beside a majority of others.
    """
    people, model, prompts = [], [], []
    for pair, difference in zip(pairs, differences, strict=True):
        for left_out, vote in enumerate(pair.votes):
            others = [other.label_0 for place, other in enumerate(pair.votes) if place != left_out]
            if not others or np.mean(others) == 0.5:
                continue
            is_first = np.mean(others) > 0.5
            people.append(vote.label_0 if is_first else 1 - vote.label_0)
            model.append(0.5 if difference == 0 else float((difference > 0) == is_first))
            prompts.append(pair.prompt)
    return share(np.array(people), prompts), share(np.array(model), prompts)


def calibration(differences: Array, preferences: Sequence[float | None], temperature: float) -> Calibration:
    """How often the preferred picture is preferred by people, by how sure the model is."""
    known = np.array([preference is not None for preference in preferences])
    labels = np.array([preference for preference in preferences if preference is not None])
    logits = differences[known] / temperature
    confidence = 1 / (1 + np.exp(-np.abs(logits)))
    outcome = np.where(logits >= 0, labels, 1 - labels)
    edges = np.round(np.linspace(0.5, 1.0, NUM_BINS + 1), 6)
    place = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, NUM_BINS - 1)
    bins = []
    for number in range(NUM_BINS):
        inside = place == number
        count = int(inside.sum())
        bins.append(
            CalibrationBin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                num_pairs=count,
                confidence=float(confidence[inside].mean()) if count else None,
                agreement=float(outcome[inside].mean()) if count else None,
            )
        )
    error = sum(
        each.num_pairs * abs(each.confidence - each.agreement)
        for each in bins
        if each.confidence is not None and each.agreement is not None
    )
    return Calibration(
        temperature=temperature,
        bins=tuple(bins),
        expected_error=error / max(1, len(labels)),
        log_loss=float(pair_losses(logits, labels).mean()) if labels.size else None,
    )


def _bootstrap(values: Array, prompts: Sequence[str]) -> tuple[float, float]:
    """The 95 % interval of a mean over pairs; whole prompts are drawn."""
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    owner = np.array([places[prompt] for prompt in prompts])
    sums = np.bincount(owner, weights=values, minlength=len(places))
    counts = np.bincount(owner, minlength=len(places))
    drawn = np.random.default_rng(0).integers(len(places), size=(NUM_RESAMPLES, len(places)))
    shares = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
