"""The shape of a line of GenEval's evaluation_metadata.jsonl. Which classes its detector knows, the job knows."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Direction = Literal["left of", "right of", "above", "below"]


class GenEvalClause(BaseModel):
    """Objects that a picture must show, or of which it must show fewer."""

    # The file may hold more than the rules read; a count of "2" is no count.
    model_config = ConfigDict(extra="ignore", strict=True)

    class_name: str = Field(alias="class", min_length=1)
    count: int = Field(ge=1)
    color: str | None = None
    position: tuple[Direction, int] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        # JSON has no tuples.
        is_list = isinstance(value, dict) and isinstance(value.get("position"), list)
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
