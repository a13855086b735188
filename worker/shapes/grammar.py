"""The language of the small world: what a text asks for, in the grammar of GenEval's six tasks.

Knows neither scenes nor which captions are held out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from worker.shapes.world import COLOURS, SHAPES, ColourName, ShapeName

TaskName = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr"]
RelationName = Literal["left of", "right of", "above", "below"]

TASKS: tuple[TaskName, ...] = get_args(TaskName)
RELATIONS: tuple[RelationName, ...] = get_args(RelationName)
NUMBER_WORDS = {"two": 2, "three": 3, "four": 4}
PLURALS: dict[ShapeName, str] = {shape: "crosses" if shape == "cross" else f"{shape}s" for shape in SHAPES}
MEDIA = ("photo", "image", "picture", "drawing", "painting", "print")
MANNERS = ("", "simple", "clear", "neat")
CONNECTIVES = ("of", "showing")
PLAIN_WORDING = "a photo of"
UNDERSTOOD = (
    "It understands 'a photo of' one shape, two different shapes ('a circle and a star', both coloured or neither), "
    "two to four of a shape ('three triangles') or 'a circle left of a star'. "
    f"Shapes: {', '.join(SHAPES)}. Colours: {', '.join(COLOURS)}. Relations: {', '.join(RELATIONS)}."
)


@dataclass(frozen=True)
class WantedObject:
    """One class of object that a caption asks for; colour None means any."""

    shape: ShapeName
    count: int = 1
    colour: ColourName | None = None


@dataclass(frozen=True)
class Content:
    """What is asked, whatever the wording; the first object stands in the relation to the second."""

    task: TaskName
    wanted: tuple[WantedObject, ...]
    relation: RelationName | None = None


@dataclass(frozen=True)
class Caption:
    """A text and what it asks for; the first wanted object stands in the relation to the second."""

    text: str
    task: TaskName
    wanted: tuple[WantedObject, ...]
    relation: RelationName | None = None


def wordings() -> tuple[str, ...]:
    """The 48 openings of a caption, from the plainest to the most elaborate."""
    openings = []
    for manner in MANNERS:
        for connective in CONNECTIVES:
            for medium in MEDIA:
                words = [word for word in (manner, medium, connective) if word]
                article = "an" if words[0][0] in "aeiou" else "a"
                openings.append(" ".join([article, *words]))
    return tuple(openings)


def phrase(content: Content) -> str:
    """The words for what is asked, without an opening: 'a red circle and a blue star'."""
    if content.task == "counting":
        wanted = content.wanted[0]
        number = next(word for word, count in NUMBER_WORDS.items() if count == wanted.count)
        return f"{number} {PLURALS[wanted.shape]}"
    nouns = [f"a {wanted.colour} {wanted.shape}" if wanted.colour else f"a {wanted.shape}" for wanted in content.wanted]
    return f" {content.relation or 'and'} ".join(nouns)


def caption_of(content: Content, wording: str = PLAIN_WORDING) -> Caption:
    """Put a content into words."""
    return Caption(f"{wording} {phrase(content)}", content.task, content.wanted, content.relation)


@lru_cache(maxsize=8)
def contents(task: TaskName) -> tuple[Content, ...]:
    """Everything that captions of a task can ask for."""
    pairs = [(one, other) for one in SHAPES for other in SHAPES if one != other]
    if task == "single_object":
        return tuple(Content(task, (WantedObject(shape),)) for shape in SHAPES)
    if task == "two_object":
        return tuple(Content(task, (WantedObject(one), WantedObject(other))) for one, other in pairs)
    if task == "counting":
        return tuple(Content(task, (WantedObject(shape, n),)) for shape in SHAPES for n in NUMBER_WORDS.values())
    if task == "colors":
        return tuple(Content(task, (WantedObject(shape, 1, colour),)) for shape in SHAPES for colour in COLOURS)
    if task == "position":
        return tuple(
            Content(task, (WantedObject(one), WantedObject(other)), relation)
            for one, other in pairs
            for relation in RELATIONS
        )
    hues = [(one, other) for one in COLOURS for other in COLOURS if one != other]
    return tuple(
        Content(task, (WantedObject(one, 1, hue), WantedObject(other, 1, other_hue)))
        for one, other in pairs
        for hue, other_hue in hues
    )


def parse_caption(text: str) -> Caption:
    """Read a caption, with or without an opening; capitals, extra spaces and a full stop are forgiven."""
    normal = " ".join(text.lower().rstrip(". ").split())
    opening = _opening_pattern().match(normal)
    content = _contents_by_phrase().get(normal[opening.end() :] if opening else normal)
    if content is None:
        raise ValueError(f"{text!r} is not a caption of the small world. {UNDERSTOOD}")
    return Caption(normal, content.task, content.wanted, content.relation)


def vocabulary() -> tuple[str, ...]:
    """Every word that a caption may hold, sorted."""
    texts = [*wordings(), *_contents_by_phrase()]
    return tuple(sorted({word for text in texts for word in text.split()}))


@lru_cache(maxsize=1)
def _opening_pattern() -> re.Pattern[str]:
    """Matches any opening and the space after it."""
    return re.compile(f"(?:{'|'.join(wordings())}) ")


@lru_cache(maxsize=1)
def _contents_by_phrase() -> dict[str, Content]:
    """The whole grammar as one table, which is small: 750 phrases."""
    return {phrase(content): content for task in TASKS for content in contents(task)}
