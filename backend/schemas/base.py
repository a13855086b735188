"""The root of the dictionary: what every wire object shares. Unknown fields are refused, objects are frozen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.types import AwareDatetime

Item = TypeVar("Item")


class WireModel(BaseModel):
    """A frozen object that refuses unknown fields; NaN and infinities leave as null."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null", protected_namespaces=())


class Section(WireModel):
    """A group of settings that a form draws as one section; its docstring is the section's help."""

    # An infinity would be stored as null, and a setting that is null cannot be read back.
    model_config = ConfigDict(allow_inf_nan=False)


def _to_utc(moment: datetime) -> datetime:
    """The same moment in UTC, whatever zone the database's session has."""
    return moment.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, AfterValidator(_to_utc), Field(description="RFC 3339, UTC")]
Number = Annotated[float | None, Field(description="A number; null stands for NaN or infinity")]


class Page(WireModel, Generic[Item]):
    """One page of a list, in keyset order; `next_cursor` is opaque and null on the last page."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None = None


class FieldProblem(WireModel):
    """One refused value: where it stands (a JSON pointer) and why it was refused."""

    pointer: str
    message: str


class Problem(WireModel):
    """RFC 9457 problem details, the body of every 4xx and 5xx answer."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem] = []


def unit(name: str) -> dict[str, Any]:
    """The `json_schema_extra` that tells forms and docs a field's unit."""
    return {"unit": name}
