"""What the small world is made of: shapes, colours, token grid, scenes. Knows neither pixels nor captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

ShapeName = Literal["circle", "square", "triangle", "star", "cross"]
ColourName = Literal["red", "green", "blue", "yellow", "purple", "white"]
RGB = tuple[int, int, int]

SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
COLOURS: tuple[ColourName, ...] = get_args(ColourName)

IMAGE_SIZE = 64
CELL = 8
GRID_SIZE = IMAGE_SIZE // CELL
OBJECT_CELLS = 3
OBJECT_SIZE = OBJECT_CELLS * CELL
GAP_CELLS = 1
MAX_OBJECTS = 4

# Any two colours lie at least 145 apart in RGB (of 442), and each at least 150 from the plain ground, so that
# telling them apart survives the blur of a small tokenizer.
PALETTE: dict[ColourName, RGB] = {
    "red": (232, 56, 62),
    "green": (50, 190, 96),
    "blue": (48, 124, 246),
    "yellow": (252, 206, 54),
    "purple": (186, 70, 226),
    "white": (244, 244, 238),
}
GROUND: RGB = (36, 40, 54)

Position = tuple[int, int]


@dataclass(frozen=True)
class PlacedObject:
    """A shape of one colour; row and column name the token cell of its upper left corner."""

    shape: ShapeName
    colour: ColourName
    row: int
    column: int

    def __post_init__(self) -> None:
        """Refuse what the world does not know and what would leave the picture."""
        if self.shape not in SHAPES:
            raise ValueError(f"shape {self.shape!r} is not one of {', '.join(SHAPES)}")
        if self.colour not in COLOURS:
            raise ValueError(f"colour {self.colour!r} is not one of {', '.join(COLOURS)}")
        last = GRID_SIZE - OBJECT_CELLS
        if not (0 <= self.row <= last and 0 <= self.column <= last):
            raise ValueError(f"row {self.row}, column {self.column} is outside the grid: both must be 0 to {last}")


@dataclass(frozen=True)
class Scene:
    """The objects of one picture, each at least one token from every other."""

    objects: tuple[PlacedObject, ...]

    def __post_init__(self) -> None:
        """Refuse objects that touch, since no verifier could tell them apart."""
        for index, one in enumerate(self.objects):
            for other in self.objects[index + 1 :]:
                if not are_apart((one.row, one.column), (other.row, other.column)):
                    raise ValueError(f"{one} and {other} are less than {GAP_CELLS} token apart; move one of them")


def are_apart(one: Position, other: Position) -> bool:
    """Whether objects at these cells leave at least one free token between them."""
    reach = OBJECT_CELLS + GAP_CELLS
    return abs(one[0] - other[0]) >= reach or abs(one[1] - other[1]) >= reach


@lru_cache(maxsize=MAX_OBJECTS)
def layouts(num_objects: int) -> tuple[tuple[Position, ...], ...]:
    """Every way to place that many objects, as increasing positions: a uniform draw is a fair layout."""
    if not 1 <= num_objects <= MAX_OBJECTS:
        raise ValueError(f"{num_objects} objects do not fit the picture: 1 to {MAX_OBJECTS} do")
    side = range(GRID_SIZE - OBJECT_CELLS + 1)
    cells = [(row, column) for row in side for column in side]
    found: list[tuple[Position, ...]] = [(cell,) for cell in cells]
    for _ in range(num_objects - 1):
        found = [
            (*layout, cell)
            for layout in found
            for cell in cells
            if cell > layout[-1] and all(are_apart(cell, placed) for placed in layout)
        ]
    return tuple(found)
