"""The shape of a line of GenEval's evaluation_metadata.jsonl, and the only names that its judges can find."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from backend.schemas.geneval_names import CLASSES, COLOURS

Direction = Literal["left of", "right of", "above", "below"]

_NUM_NEAR = 3
_LEAST_ALIKE = 0.6


def _class_name(name: str) -> str:
    """The name itself; ValueError where the detector has no such class."""
    if name not in CLASSES:
        raise ValueError(
            f"{name!r} is none of the {len(CLASSES)} classes that the detector knows: {_cure(name, CLASSES)}"
        )
    return name


def _colour(name: str) -> str:
    """The name itself; ValueError where the benchmark's classifier has no such colour."""
    if name not in COLOURS:
        raise ValueError(f"{name!r} is none of the {len(COLOURS)} colours that are told apart: {_cure(name, COLOURS)}")
    return name


def _cure(name: str, known: Sequence[str]) -> str:
    """The names that are most like a wrong one: those that share a word with it, then by spelling; else all of them."""
    written = name.strip().lower()
    words = set(written.split())
    near = [each for each in known if words & set(each.split())]
    near += [each for each in get_close_matches(written, known, _NUM_NEAR, _LEAST_ALIKE) if each not in near]
    return f"nearest {' or '.join(map(repr, near[:_NUM_NEAR]))}" if near else f"take one of {', '.join(known)}"


class GenEvalClause(BaseModel):
    """Objects that a picture must show, or of which it must show fewer."""

    # The file may hold more than the rules read; a count of "2" is no count.
    model_config = ConfigDict(extra="ignore", strict=True)

    class_name: Annotated[str, AfterValidator(_class_name)] = Field(alias="class")
    count: int = Field(ge=1)
    color: Annotated[str, AfterValidator(_colour)] | None = None
    position: tuple[Direction, int] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for key in ("color", "position"):
            # The rules ask whether the key is there.
            if key in value and value[key] is None:
                raise ValueError(f"{key} is null, and no picture shows that: leave {key} out, or give it a value")
        # JSON has no tuples.
        is_list = isinstance(value.get("position"), list)
        return value | {"position": tuple(value["position"])} if is_list else value


class GenEvalLine(BaseModel):
    """A prompt's tag and clauses."""

    model_config = ConfigDict(extra="ignore", strict=True)

    tag: str = Field(min_length=1)
    include: list[GenEvalClause] = Field(min_length=1)
    exclude: list[GenEvalClause] = Field(default_factory=list)

    @model_validator(mode="after")
    def _positions_name_earlier_clauses(self) -> Self:
        for place, clause in enumerate(self.include):
            if clause.position is not None and not 0 <= clause.position[1] < place:
                raise ValueError(
                    f"include {place} stands {clause.position[0]} clause {clause.position[1]}: name an earlier one, "
                    f"from 0 to {place - 1}"
                    if place
                    else "include 0 has a position: the first clause has nothing to stand beside"
                )
        return self
