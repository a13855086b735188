"""GenEval's rules: which detections are kept, where objects stand, and whether a picture shows what was asked for.

Ghosh et al. 2023, arXiv 2310.11513, and the behaviour of its evaluate_images.py. Knows no network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COUNTING = "counting"
LEAST_OFFSET = 1e-3
# A direction counts within 60 degrees of its axis: the cosine of 60.
LEAST_DIRECTION = 0.5

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels"""


@dataclass(frozen=True, eq=False)
class Detection:
    """An object that the detector found."""

    box: Box
    confidence: float
    mask: NDArray[np.bool_] | None = None
    """(H, W), of the whole picture"""


# The colour of each of these objects of a class.
ColourNamer = Callable[[Sequence[Detection], str], Sequence[str]]
Detections = Mapping[str, Sequence[Detection]]


@dataclass(frozen=True)
class Thresholds:
    """The benchmark's own unless a configuration says otherwise."""

    confidence: float = 0.3
    counting: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    position: float = 0.1


@dataclass(frozen=True)
class Clause:
    """One thing that the metadata asks for, whether it holds, and what was found instead."""

    text: str
    is_satisfied: bool


def kept(found: Detections, tag: str, thresholds: Thresholds) -> dict[str, list[Detection]]:
    """The detections that count, by class, the most confident first.

    They are more confident than the threshold, which is another one where objects are counted; at most so many a
    class; and where overlap is bounded, the less confident of two boxes goes.
    """
    least = thresholds.counting if tag == COUNTING else thresholds.confidence
    result = {}
    for name, detections in found.items():
        ordered = sorted((each for each in detections if each.confidence > least), key=lambda each: -each.confidence)
        chosen: list[Detection] = []
        for each in ordered[: thresholds.max_objects]:
            if thresholds.max_overlap == 1 or all(
                overlap(other.box, each.box) < thresholds.max_overlap for other in chosen
            ):
                chosen.append(each)
        if chosen:
            result[name] = chosen
    return result


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of boxes whose right and bottom pixels belong to them; 0 where both are empty."""
    inner = (
        max(first[0], second[0]),
        max(first[1], second[1]),
        min(first[2], second[2]),
        min(first[3], second[3]),
    )
    shared = _area(inner)
    union = _area(first) + _area(second) - shared
    return shared / union if union else 0.0


def relations(first: Box, second: Box, threshold: float) -> frozenset[str]:
    """Where the first stands from the second: none, one, or two of left of, right of, above, below.

    Along each axis the offset of the centres is shortened by `threshold` times both sizes; what is left is measured
    against the whole offset's length.
    """
    offsets, left = [], []
    for axis in (0, 1):
        offset = (first[axis] + first[axis + 2] - second[axis] - second[axis + 2]) / 2
        sizes = abs(first[axis + 2] - first[axis]) + abs(second[axis + 2] - second[axis])
        offsets.append(offset)
        left.append(math.copysign(max(abs(offset) - threshold * sizes, 0.0), offset))
    if all(abs(each) < LEAST_OFFSET for each in left):
        return frozenset()
    across, down = (each / math.hypot(*offsets) for each in left)
    named = {
        "left of": across < -LEAST_DIRECTION,
        "right of": across > LEAST_DIRECTION,
        "above": down < -LEAST_DIRECTION,
        "below": down > LEAST_DIRECTION,
    }
    return frozenset(name for name, holds in named.items() if holds)


def judge(
    metadata: Mapping[str, Any], found: Detections, colours: ColourNamer, position_threshold: float
) -> tuple[Clause, ...]:
    """Whether each clause of a prompt's metadata holds; the picture is correct where all do.

    Args:
        metadata: the benchmark's own: `include` clauses, all of which must hold, and `exclude` clauses, none of which
            may. A position is told relative to an earlier clause of `include`, by its place.
        found: what `kept` gives.
        colours: names the colours of objects; asked for clauses with a colour alone.
        position_threshold: see `relations`.
    """
    clauses: list[Clause] = []
    matched: list[Sequence[Detection] | None] = []
    for wanted in metadata.get("include", ()):
        objects = found.get(wanted["class"], [])[: wanted["count"]]
        problem = _problem(wanted, objects, matched, colours, position_threshold)
        clauses.append(Clause(problem or _asked(wanted), not problem))
        matched.append(None if problem else objects)
    for unwanted in metadata.get("exclude", ()):
        number = len(found.get(unwanted["class"], []))
        is_satisfied = number < unwanted["count"]
        text = f"fewer than {unwanted['count']} {unwanted['class']}"
        clauses.append(Clause(text if is_satisfied else f"{text}: {number} found", is_satisfied))
    return tuple(clauses)


def _problem(
    wanted: Mapping[str, Any],
    objects: Sequence[Detection],
    matched: Sequence[Sequence[Detection] | None],
    colours: ColourNamer,
    position_threshold: float,
) -> str:
    """Why a clause does not hold; empty where it does."""
    asked = _asked(wanted)
    if len(objects) < wanted["count"]:
        return f"{asked}: {len(objects)} found"
    if "color" in wanted:
        named = list(colours(objects, wanted["class"]))
        if named.count(wanted["color"]) < wanted["count"]:
            return f"{asked}: {', '.join(named)} found"
    if "position" in wanted:
        relation, place = wanted["position"]
        targets = matched[place]
        if targets is None:
            return f"{asked}: what it is to be {relation} was not found"
        for each in objects:
            for target in targets:
                seen = relations(each.box, target.box, position_threshold)
                if relation not in seen:
                    return f"{asked}: {' and '.join(sorted(seen)) or 'no clear relation'} found"
    return ""


def _asked(wanted: Mapping[str, Any]) -> str:
    colour = f"{wanted['color']} " if "color" in wanted else ""
    position = f" {wanted['position'][0]} number {wanted['position'][1] + 1}" if "position" in wanted else ""
    return f"at least {wanted['count']} {colour}{wanted['class']}{position}"


def _area(box: Box) -> float:
    return max(box[2] - box[0] + 1, 0) * max(box[3] - box[1] + 1, 0)
