"""Nearly right pictures and captions of the small world: what a CLIP must learn to tell from the right ones.

Captions of the training split alone are used, also where they are wrong. Knows no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.shapes.captions import all_captions, sample_caption, scene_for
from worker.shapes.grammar import TASKS, Caption, Content, RelationName, WantedObject, contents, phrase
from worker.shapes.renderer import render
from worker.shapes.verifier import verify
from worker.shapes.world import (
    CELL,
    COLOURS,
    MAX_OBJECTS,
    OBJECT_CELLS,
    SHAPES,
    PlacedObject,
    Scene,
    are_apart,
    layouts,
)

NUM_TRIES = 8
NUM_SPOILED_CELLS = 3

Pixels = NDArray[np.uint8]
Value = TypeVar("Value")
# What a caption asks for, whatever its task and words.
Key = tuple[tuple[WantedObject, ...], RelationName | None]
TOO_FAR = 9


@dataclass(frozen=True)
class Contrast:
    """A caption, a picture that shows it, one that nearly does, and captions that the first picture nearly shows."""

    caption: Caption
    right: Pixels
    right_scene: Scene
    wrong: Pixels
    wrong_scene: Scene | None
    """None where an object is spoiled, so that the picture shows nothing that any caption asks for"""
    hard_captions: tuple[Caption, ...]


def draw_contrast(rng: np.random.Generator, num_hard_captions: int) -> Contrast:
    """Draw a training caption and what contrasts with it; the verifier finds each wrong picture wrong."""
    caption = sample_caption(rng, "train")
    scene = scene_for(caption, rng)
    wrong, wrong_scene = nearly_right_picture(caption, scene, rng)
    return Contrast(
        caption, render(scene, rng), scene, wrong, wrong_scene, hard_captions(caption, num_hard_captions, rng)
    )


def nearly_right_picture(caption: Caption, scene: Scene, rng: np.random.Generator) -> tuple[Pixels, Scene | None]:
    """Change one thing of a scene so that the verifier no longer finds the caption strictly satisfied."""
    for _ in range(NUM_TRIES):
        changed: Scene | None = _changed_scene(scene, rng)
        picture = _spoiled(scene, rng) if changed is None else render(changed, rng)
        if not verify(picture, caption).is_strict:
            return picture, changed
    other = Scene(tuple(replace(each, shape=_other(each.shape, SHAPES, rng)) for each in scene.objects))
    return render(other, rng), other


def hard_captions(caption: Caption, num_captions: int, rng: np.random.Generator) -> tuple[Caption, ...]:
    """Draw training captions that differ from this one in one thing, in the same words where these are free."""
    options = _neighbours(_key(caption))
    chosen = rng.integers(len(options), size=num_captions)
    return tuple(_worded(options[index], rng) for index in chosen)


def reworded_contrasts(caption: Caption, num_captions: int, rng: np.random.Generator) -> list[str]:
    """Draw texts that differ from a caption in one thing that they ask for, and open with the same words."""
    own = next(each for each in contents(caption.task) if _key(each) == _key(caption))
    opening = caption.text.removesuffix(phrase(own))
    options = _near_contents(_key(caption))
    return [opening + phrase(options[index]) for index in rng.integers(len(options), size=num_captions)]


def excluded(captions: list[Caption], scenes: list[Scene | None]) -> NDArray[np.bool_]:
    """Return (S, C), True where a scene shows, or may be read to show, just what a caption asks for."""
    counts = np.stack([_counts(scene) for scene in scenes])
    wanted = np.stack([_wanted_counts(caption) for caption in captions])
    same_shapes = (counts.sum(2)[:, None] == wanted.sum(2)[None]).all(2)
    same_colours = (counts[:, None] == wanted[None])[..., : len(COLOURS)].all((2, 3))
    is_coloured = np.array([any(each.colour for each in caption.wanted) for caption in captions])
    shown: NDArray[np.bool_] = np.where(is_coloured, same_colours, same_shapes)
    for row, scene in enumerate(scenes):
        for column in np.flatnonzero(shown[row]):
            shown[row, column] = scene is not None and _may_be_related(captions[column], scene)
    return shown


def _changed_scene(scene: Scene, rng: np.random.Generator) -> Scene | None:
    """Recolour, reshape, drop, add, move or swap an object; None asks for a spoiled one instead."""
    objects = list(scene.objects)
    place = int(rng.integers(len(objects)))
    kind = rng.integers(6)
    if kind == 0:
        objects[place] = replace(objects[place], colour=_other(objects[place].colour, COLOURS, rng))
    elif kind == 1:
        objects[place] = replace(objects[place], shape=_other(objects[place].shape, SHAPES, rng))
    elif kind == 2 and len(objects) > 1:
        del objects[place]
    elif kind == 3 and len(objects) < MAX_OBJECTS:
        objects = _with_one_more(objects, rng)
    elif kind == 4 and len(objects) == 2:
        return _exchanged(objects, rng)
    else:
        return None
    return Scene(tuple(objects))


def _exchanged(objects: list[PlacedObject], rng: np.random.Generator) -> Scene:
    """Two objects whose places, or whose colours, are exchanged."""
    one, other = objects
    if one.colour != other.colour and rng.random() < 0.5:
        return Scene((replace(one, colour=other.colour), replace(other, colour=one.colour)))
    moved = replace(one, row=other.row, column=other.column)
    return Scene((moved, replace(other, row=one.row, column=one.column)))


def _with_one_more(objects: list[PlacedObject], rng: np.random.Generator) -> list[PlacedObject]:
    """The objects and another one, half of the time of a shape that is there; as they were where no room is left."""
    cells = [position for (position,) in layouts(1)]
    free = [cell for cell in cells if all(are_apart(cell, (each.row, each.column)) for each in objects)]
    if not free:
        return objects
    row, column = free[rng.integers(len(free))]
    shape = objects[0].shape if rng.random() < 0.5 else SHAPES[rng.integers(len(SHAPES))]
    return [*objects, PlacedObject(shape, COLOURS[rng.integers(len(COLOURS))], row, column)]


def _spoiled(scene: Scene, rng: np.random.Generator) -> Pixels:
    """The scene with one object of which some cells are another's, or ground: how a policy fails most."""
    place = int(rng.integers(len(scene.objects)))
    spoiled = scene.objects[place]
    others = (*scene.objects[:place], *scene.objects[place + 1 :])
    donor = replace(spoiled, shape=_other(spoiled.shape, SHAPES, rng), colour=COLOURS[rng.integers(len(COLOURS))])
    is_ground = rng.random() < 0.4
    picture = render(scene, rng)
    source = render(Scene(others if is_ground else (*others, donor)), rng)
    num_cells = int(rng.integers(2, 2 + NUM_SPOILED_CELLS))
    for cell in rng.choice(OBJECT_CELLS**2, size=num_cells, replace=False):
        top = (spoiled.row + int(cell) // OBJECT_CELLS) * CELL
        left = (spoiled.column + int(cell) % OBJECT_CELLS) * CELL
        picture[top : top + CELL, left : left + CELL] = source[top : top + CELL, left : left + CELL]
    return picture


def _other(value: Value, values: Sequence[Value], rng: np.random.Generator) -> Value:
    options = [each for each in values if each != value]
    return options[rng.integers(len(options))]


def _key(caption: Caption | Content) -> Key:
    return caption.wanted, caption.relation


@lru_cache(maxsize=1)
def _training_captions() -> dict[Key, list[Caption]]:
    """The training captions by what they ask for."""
    by_key: dict[Key, list[Caption]] = defaultdict(list)
    for caption in all_captions("train"):
        by_key[_key(caption)].append(caption)
    return by_key


def _worded(key: Key, rng: np.random.Generator) -> Caption:
    options = _training_captions()[key]
    return options[0 if rng.random() < 0.5 else rng.integers(len(options))]


@lru_cache(maxsize=4096)
def _near_contents(key: Key) -> tuple[Content, ...]:
    """Every content that differs in one thing, of training and held-out captions alike."""
    return tuple(other for task in TASKS for other in contents(task) if _distance(key, _key(other)) == 1)


@lru_cache(maxsize=4096)
def _neighbours(key: Key) -> tuple[Key, ...]:
    """What training captions ask for that differs in one thing."""
    known = _training_captions()
    return tuple(_key(other) for other in _near_contents(key) if _key(other) in known)


def _distance(one: Key, other: Key) -> int:
    """In how many things two contents differ: a shape, a colour, a number, a relation, an object, colours exchanged."""
    (wanted, relation), (others, other_relation) = one, other
    if len(wanted) != len(others):
        shorter, longer = sorted((wanted, others), key=len)
        return 1 if shorter[0] in longer and relation is None and other_relation is None else TOO_FAR
    if (relation is None) != (other_relation is None):
        return TOO_FAR
    if len(wanted) == 2 and relation is None:
        if wanted == others[::-1]:
            return 0
        exchanged = (replace(wanted[0], colour=wanted[1].colour), replace(wanted[1], colour=wanted[0].colour))
        if exchanged in (others, others[::-1]) and wanted != exchanged:
            return 1
    changes = sum(_object_distance(a, b) for a, b in zip(wanted, others, strict=True))
    return changes + (relation != other_relation)


def _object_distance(one: WantedObject, other: WantedObject) -> int:
    if (one.colour is None) != (other.colour is None):
        return TOO_FAR
    return (one.shape != other.shape) + (one.colour != other.colour) + (one.count != other.count)


def _counts(scene: Scene | None) -> NDArray[np.int64]:
    """(shapes, colours + 1) objects of a scene; the last column counts objects of any colour: none in a scene."""
    counts = np.zeros((len(SHAPES), len(COLOURS) + 1), dtype=np.int64)
    if scene is None:
        return counts - 1
    for each in scene.objects:
        counts[SHAPES.index(each.shape), COLOURS.index(each.colour)] += 1
    return counts


def _wanted_counts(caption: Caption) -> NDArray[np.int64]:
    counts = np.zeros((len(SHAPES), len(COLOURS) + 1), dtype=np.int64)
    for wanted in caption.wanted:
        column = COLOURS.index(wanted.colour) if wanted.colour else len(COLOURS)
        counts[SHAPES.index(wanted.shape), column] += wanted.count
    return counts


def _may_be_related(caption: Caption, scene: Scene) -> bool:
    """Whether the relation holds at least a little; a diagonal is neither right nor wrong."""
    if caption.relation is None:
        return True
    places = {each.shape: (each.row, each.column) for each in scene.objects}
    one, other = (places[wanted.shape] for wanted in caption.wanted)
    axis, sign = {"left of": (1, -1), "right of": (1, 1), "above": (0, -1), "below": (0, 1)}[caption.relation]
    return sign * (one[axis] - other[axis]) > 0
