"""Which prompts and which raters a reward model learns from, chooses its best step by, and is judged with.

A function of the set, the shares and the seed alone; no prompt and no picture is in two parts, and a held-out rater is
in none that is learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.preference_learning.groups import groups_of
from worker.preference_learning.pairs import Pair, PairSet

FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Example:
    """A pair to learn from."""

    pair: Pair
    label_0: float
    """share of the learning raters who preferred the first picture"""
    weight: float
    """the pairs of a prompt weigh 1 together, and all of a part 1 on average"""


@dataclass(frozen=True)
class Split:
    """The parts of a pair set."""

    learning: tuple[Example, ...]
    choosing: tuple[Example, ...]
    heldout: tuple[Pair, ...]
    learning_raters: frozenset[str] | None
    """None where the set names no raters: imported pairs"""
    heldout_raters: frozenset[str]


def split_pairs(
    pair_set: PairSet, heldout_share: float, choosing_share: float, heldout_rater_share: float, seed: int
) -> Split:
    """Split by prompt and by rater; prompts with the same words, or with a picture in common, stay together.

    Args:
        pair_set: what is split.
        heldout_share: of the groups of prompts, to judge with; at least one.
        choosing_share: of the groups of prompts, to choose the best step by; at least one.
        heldout_rater_share: of the raters, never learned from; rounded down, and one rater at least is learned from.
        seed: of the draws.

    Raises:
        ValueError: there are too few prompts, or a part is left without votes.
    """
    heldout, choosing, learning = _split_prompts(pair_set, heldout_share, choosing_share, seed)
    learners, strangers = _split_raters(pair_set.raters, heldout_rater_share, seed)
    split = Split(
        learning=_examples([pair for pair in pair_set.pairs if pair.prompt in learning], learners),
        choosing=_examples([pair for pair in pair_set.pairs if pair.prompt in choosing], learners),
        heldout=tuple(pair for pair in pair_set.pairs if pair.prompt in heldout),
        learning_raters=learners,
        heldout_raters=strangers,
    )
    for name, part in (("learning", split.learning), ("choosing", split.choosing)):
        if not part:
            raise ValueError(
                f"no rater who is learned from voted on the {name} prompts: lower pairs.heldout_rater_share, or "
                "collect more votes"
            )
    return split


def _split_prompts(
    pair_set: PairSet, heldout_share: float, choosing_share: float, seed: int
) -> tuple[set[str], set[str], set[str]]:
    """The held-out, the choosing and the learning prompts."""
    numbers: dict[str, int] = {}
    for pair, number in zip(pair_set.pairs, groups_of(pair_set.pairs), strict=True):
        numbers[pair.prompt] = number
    by_group: dict[int, list[str]] = {}
    for prompt in sorted(numbers):
        by_group.setdefault(numbers[prompt], []).append(prompt)
    groups = list(by_group.values())
    if len(groups) < FEWEST_GROUPS:
        raise ValueError(
            f"the pair set has {len(groups)} prompts that differ in more than case and punctuation and share no "
            f"picture, but learning, choosing and judging need one each: collect votes on at least {FEWEST_GROUPS}, "
            "better on hundreds"
        )
    order = [groups[place] for place in np.random.default_rng([seed, 11]).permutation(len(groups))]
    largest = max(order, key=len)
    if len(largest) > 1:
        # One picture that many prompts have, such as a black one, joins them all: they would leave nothing to learn.
        order.remove(largest)
        order.append(largest)
    num_heldout = _at_least_one(heldout_share, len(order))
    end = num_heldout + _at_least_one(choosing_share, len(order))
    parts = (order[:num_heldout], order[num_heldout:end], order[end:])
    heldout, choosing, learning = ({prompt for group in part for prompt in group} for part in parts)
    return heldout, choosing, learning


def _at_least_one(share: float, count: int) -> int:
    return max(1, round(share * count))


def _split_raters(raters: tuple[str, ...], share: float, seed: int) -> tuple[frozenset[str] | None, frozenset[str]]:
    if not raters:
        return None, frozenset()
    order = [raters[place] for place in np.random.default_rng([seed, 12]).permutation(len(raters))]
    num_heldout = min(int(share * len(raters)), len(raters) - 1)
    return frozenset(order[num_heldout:]), frozenset(order[:num_heldout])


def _examples(pairs: list[Pair], raters: frozenset[str] | None) -> tuple[Example, ...]:
    # An imported pair without single votes has no rater that could be held out.
    labels = [pair.preference(raters if pair.votes else None) for pair in pairs]
    kept = [(pair, label) for pair, label in zip(pairs, labels, strict=True) if label is not None]
    of_prompt: dict[str, float] = {}
    for pair, _ in kept:
        of_prompt[pair.prompt] = of_prompt.get(pair.prompt, 0.0) + pair.weight
    scale = len(kept) / max(1, len(of_prompt))
    return tuple(Example(pair, label, scale * pair.weight / of_prompt[pair.prompt]) for pair, label in kept)
