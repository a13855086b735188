"""What a reward model is worth on pairs that it never saw: accuracy, the human ceiling, calibration, with intervals.

Knows score differences and votes, no model. A pair's majority is what more than half of its votes chose; pairs without
one, ties, are left out of accuracies and counted. Intervals are 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.figures.intervals import NORMAL_95, exact_interval, student_quantile
from backend.schemas.reward_report import FEWEST_HELDOUT_PROMPTS, Calibration, CalibrationBin, Share
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


def share(values: Array, groups: Sequence[object]) -> Share | None:
    """The mean of agreements and its interval: the wider, at each end, of an exact one and a bootstrap over groups.

    Pairs of one group, those of one prompt, resemble each other. The exact interval counts them as the independent
    pairs that they are worth; a bootstrap of pairs that are nearly all right is sure of itself without reason.

    Args:
        values: (P,) agreements, NaN where there is none.
        groups: what each pair belongs to; pairs of different groups are independent.

    Returns:
        None where there is nothing to average.
    """
    kept = ~np.isnan(values)
    if not kept.any():
        return None
    sums, counts = _by_group(values[kept], [group for group, is_kept in zip(groups, kept, strict=True) if is_kept])
    mean = float(values[kept].mean())
    worth = _effective_number(sums, counts)
    exact = exact_interval(mean * worth, worth)
    low, high = _bootstrap(sums, counts, (0.0, 1.0))
    return Share(value=mean, low=min(low, exact.low), high=max(high, exact.high), num_pairs=int(kept.sum()))


def paired_gain(tuned: Array, untuned: Array, groups: Sequence[object]) -> Share | None:
    """Tuned minus untuned agreement on the same pairs, by a bootstrap over groups."""
    kept = ~np.isnan(tuned)
    if not kept.any():
        return None
    gains = (tuned - untuned)[kept]
    sums, counts = _by_group(gains, [group for group, is_kept in zip(groups, kept, strict=True) if is_kept])
    low, high = _bootstrap(sums, counts, (-1.0, 1.0))
    return Share(value=float(gains.mean()), low=low, high=high, num_pairs=int(kept.sum()))


def ceiling(pairs: Sequence[Pair], differences: Array, groups: Sequence[object]) -> tuple[Share | None, Share | None]:
    """How often a person agrees with the majority of the others, and how often the model does with the same ones.

    Each vote of a pair is left out in turn and compared with the majority of the rest; a vote for neither counts a
    half. None where no pair has a vote beside a majority of others.
    """
    people, model, owners = [], [], []
    for pair, difference, group in zip(pairs, differences, groups, strict=True):
        for left_out, vote in enumerate(pair.votes):
            others = [other.label_0 for place, other in enumerate(pair.votes) if place != left_out]
            if not others or np.mean(others) == 0.5:
                continue
            is_first = np.mean(others) > 0.5
            people.append(vote.label_0 if is_first else 1 - vote.label_0)
            model.append(0.5 if difference == 0 else float((difference > 0) == is_first))
            owners.append(group)
    return share(np.array(people), owners), share(np.array(model), owners)


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


def _by_group(values: Array, groups: Sequence[object]) -> tuple[Array, Array]:
    """(G,) sums and (G,) numbers of a group's values."""
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    owner = np.array([places[group] for group in groups])
    return np.bincount(owner, weights=values), np.bincount(owner, weights=np.ones(len(owner)))


def _effective_number(sums: Array, counts: Array) -> float:
    """As many independent pairs as those of some groups are worth (Korn & Graubard 1998).

    Divided by how much more the groups' means vary than independent pairs would let them, and by how badly few groups
    tell that. Where they do not tell it, because they are too few or all pairs agree, only the groups count.
    """
    num_groups, num_pairs = len(counts), float(counts.sum())
    mean = float(sums.sum()) / num_pairs
    if num_groups < FEWEST_HELDOUT_PROMPTS or not 0 < mean < 1:
        return float(num_groups)
    if num_groups == num_pairs:
        return num_pairs
    variance = num_groups / (num_groups - 1) * float(((sums - mean * counts) ** 2).sum()) / num_pairs**2
    design_effect = max(1.0, variance / (mean * (1 - mean) / num_pairs))
    known = student_quantile(int(num_pairs) - 1) / student_quantile(num_groups - 1)
    return num_pairs / design_effect * known**2


def _bootstrap(sums: Array, counts: Array, bounds: tuple[float, float]) -> tuple[float, float]:
    """The 95 % interval of a mean over pairs, of which whole groups are drawn; the bounds where there is one group.

    Draws of few groups vary less than groups do, and their quantiles are a normal distribution's: the interval is
    widened about the mean by both (Hesterberg 2015, section 3.3).
    """
    num_groups = len(counts)
    if num_groups == 1:
        return bounds
    drawn = np.random.default_rng(0).integers(num_groups, size=(NUM_RESAMPLES, num_groups))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    mean = float(sums.sum() / counts.sum())
    widening = student_quantile(num_groups - 1) / NORMAL_95 * np.sqrt(num_groups / (num_groups - 1))
    low, high = (mean + widening * (float(end) - mean) for end in np.quantile(means, [0.025, 0.975]))
    return max(bounds[0], low), min(bounds[1], high)
