"""Training and held-out captions, split for ever by stable hashes and never sharing a text, and their scenes.

For two_object, position and color_attr the held-out *content* (pair, arrangement or colouring, in either order)
never occurs in training. For single_object, counting and colors the contents are too few to withhold: there only
the wording is new.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Literal

import numpy as np

from worker.shapes.grammar import (
    TASKS,
    Caption,
    Content,
    RelationName,
    TaskName,
    WantedObject,
    caption_of,
    contents,
    parse_caption,
    vocabulary,
    wordings,
)
from worker.shapes.world import COLOURS, PlacedObject, Position, Scene, layouts

__all__ = [
    "TASKS",
    "Caption",
    "RelationName",
    "SplitName",
    "TaskName",
    "WantedObject",
    "all_captions",
    "parse_caption",
    "sample_caption",
    "scene_for",
    "vocabulary",
]

SplitName = Literal["train", "heldout"]

HELDOUT_PER_TASK = 90
# How many meanings are withheld, of 10 pairs, 40 arrangements and 300 colourings.
NUM_WITHHELD: dict[TaskName, int] = {"two_object": 3, "position": 10, "color_attr": 75}
PLAIN_SHARE = 0.5


def all_captions(split: SplitName) -> tuple[Caption, ...]:
    """Every caption of a split. The 540 held-out ones take the tasks in turn, so any first few are balanced."""
    if split == "heldout":
        by_task = [_heldout(task) for task in TASKS]
        return tuple(caption for row in zip(*by_task, strict=True) for caption in row)
    return tuple(caption for task in TASKS for same_content in _training(task) for caption in same_content)


def sample_caption(rng: np.random.Generator, split: SplitName) -> Caption:
    """Draw a caption, uniform over tasks, then contents; half of the training draws are plainly worded."""
    task = TASKS[rng.integers(len(TASKS))]
    if split == "heldout":
        return _heldout(task)[rng.integers(HELDOUT_PER_TASK)]
    choices = _training(task)
    same_content = choices[rng.integers(len(choices))]
    is_plain = rng.random() < PLAIN_SHARE
    return same_content[0 if is_plain else rng.integers(len(same_content))]


def scene_for(caption: Caption, rng: np.random.Generator) -> Scene:
    """Draw a scene with exactly what the caption asks for; what it leaves open is uniform."""
    classes = [wanted for wanted in caption.wanted for _ in range(wanted.count)]
    if caption.relation is None:
        layout = layouts(len(classes))[rng.integers(len(layouts(len(classes))))]
        positions = [layout[index] for index in rng.permutation(len(classes))]
    else:
        related = _related_layouts(caption.relation)
        positions = list(related[rng.integers(len(related))])
    return Scene(
        tuple(
            PlacedObject(wanted.shape, wanted.colour or COLOURS[rng.integers(len(COLOURS))], row, column)
            for wanted, (row, column) in zip(classes, positions, strict=True)
        )
    )


@lru_cache(maxsize=8)
def _heldout(task: TaskName) -> tuple[Caption, ...]:
    """A task's held-out captions: contents in equal shares; withheld ones in the plainest wordings."""
    ranked = []
    for content in contents(task):
        if task in NUM_WITHHELD and not _is_withheld(content):
            continue
        options = [caption_of(content, wording) for wording in wordings()]
        if task not in NUM_WITHHELD:
            options = sorted(options[1:], key=lambda caption: _stable_hash(caption.text))
        ranked += [(rank, _stable_hash(caption.text), caption) for rank, caption in enumerate(options)]
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(caption for _, _, caption in ranked[:HELDOUT_PER_TASK])


@lru_cache(maxsize=8)
def _training(task: TaskName) -> tuple[tuple[Caption, ...], ...]:
    """A task's training captions, a tuple for each content, whose first is the plain wording."""
    heldout_texts = {caption.text for caption in _heldout(task)}
    choices = []
    for content in contents(task):
        if task in NUM_WITHHELD and _is_withheld(content):
            continue
        options = tuple(caption_of(content, wording) for wording in wordings())
        choices.append(tuple(caption for caption in options if caption.text not in heldout_texts))
    return tuple(choices)


def _is_withheld(content: Content) -> bool:
    """Whether a content's meaning is among those that training never sees."""
    return _meaning(content) in _withheld_meanings(content.task)


@lru_cache(maxsize=8)
def _withheld_meanings(task: TaskName) -> frozenset[str]:
    """The meanings of a task with the lowest hashes."""
    meanings = sorted({_meaning(content) for content in contents(task)}, key=_stable_hash)
    return frozenset(meanings[: NUM_WITHHELD[task]])


def _meaning(content: Content) -> str:
    """The same string for all that ask for the same picture, as 'a left of b' and 'b right of a' do."""
    nouns = [f"{wanted.colour or 'any'} {wanted.shape}" for wanted in content.wanted]
    if content.relation in ("right of", "below"):
        return f"{nouns[1]} {'left of' if content.relation == 'right of' else 'above'} {nouns[0]}"
    if content.relation is not None:
        return f"{nouns[0]} {content.relation} {nouns[1]}"
    return " and ".join(sorted(nouns))


def _stable_hash(text: str) -> str:
    """A hash that is the same on every machine and in every process, unlike Python's own."""
    return hashlib.sha256(f"small world, {text}".encode()).hexdigest()


@lru_cache(maxsize=4)
def _related_layouts(relation: RelationName) -> tuple[tuple[Position, Position], ...]:
    """Ordered pairs of cells whose larger offset is along the relation: diagonals would be ambiguous."""
    axis, sign = {"left of": (1, -1), "right of": (1, 1), "above": (0, -1), "below": (0, 1)}[relation]
    ordered = [pair for one, other in layouts(2) for pair in ((one, other), (other, one))]
    return tuple(
        (one, other)
        for one, other in ordered
        if sign * (one[axis] - other[axis]) > abs(one[1 - axis] - other[1 - axis])
    )
