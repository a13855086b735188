"""A pydantic model becomes form fields and back: titles, help, bounds, units and choices come from its own Fields.

Pure: knows neither Gradio nor the studio. A field's path is its place in the model, joined by dots.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from backend.schemas.refusal import refusal

# Thousands are set apart by a space at which no line breaks.
NARROW_SPACE = "\u202f"
MAX_SLOTS = 8

FormValue = bool | int | float | str | list[str] | None


class FieldKind(StrEnum):
    """What a field holds, and so which input shows it."""

    FLAG = "flag"
    WHOLE = "whole"
    NUMBER = "number"
    TEXT = "text"
    LINES = "lines"  # A tuple of texts, one a line.
    CHOICE = "choice"
    SEVERAL = "several"  # Any number of the choices.


PLAIN_KINDS: Mapping[Any, FieldKind] = {
    bool: FieldKind.FLAG,
    int: FieldKind.WHOLE,
    float: FieldKind.NUMBER,
    str: FieldKind.TEXT,
}


@dataclass(frozen=True)
class FormField:
    """One input of a form."""

    path: str
    kind: FieldKind
    title: str
    help: str
    default: FormValue
    unit: str = ""
    choices: tuple[str, ...] = ()  # For one choice or several; "" stands for no value.
    low: str = ""  # The bound in words, "" where there is none.
    high: str = ""
    is_optional: bool = False

    @property
    def hint(self) -> str:
        """The help with bounds and unit, as it stands under the input."""
        bounds = " to ".join(part for part in (self.low, self.high) if part)
        measured = f"{bounds} {self.unit}".strip()
        facts = [part for part in (measured, "may be empty" if self.is_optional else "") if part]
        return f"{self.help} {'; '.join(facts).capitalize()}." if facts else self.help


@dataclass(frozen=True)
class FormSection:
    """Fields that stand together under one title. `path` is empty for the model's own plain fields."""

    path: str
    title: str
    help: str
    fields: tuple[FormField, ...]
    is_slots: bool = False  # True where like parts follow each other.


def sections_of(model: type[BaseModel]) -> tuple[FormSection, ...]:
    """The form of a model: first its plain fields, then a section for every part."""
    plain: list[FormField] = []
    parts: list[FormSection] = []
    for name, info in model.model_fields.items():
        if _is_constant(info):
            continue
        part, is_optional = _part_of(info.annotation)
        if part is None:
            plain.append(_field(name, info))
        else:
            fields = tuple(_part_fields(name, info, part, is_optional))
            words = _first_line(part.__doc__)
            if any(other.help == words for other in parts):  # Of two parts of one class, each has words of its own.
                words = info.description or words
            parts.append(FormSection(name, info.title or name, words, fields, _is_many(info.annotation)))
    return FormSection("", "General", _first_line(model.__doc__), tuple(plain)), *parts


def fields_of(model: type[BaseModel]) -> tuple[FormField, ...]:
    """All fields of a model's form, in the order in which they are shown."""
    return tuple(field for section in sections_of(model) for field in section.fields)


def values_of(config: BaseModel) -> dict[str, FormValue]:
    """What the inputs show for a configuration, by path."""
    data = config.model_dump(mode="json")
    return {field.path: _read(field, data) for field in fields_of(type(config))}


def data_from(model: type[BaseModel], values: Mapping[str, FormValue]) -> dict[str, Any]:
    """The inputs' values as the model's nested data, not yet validated."""
    return _collect(model, values, "")


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """What was refused, as (the field's title, the reason in words)."""
    titles = {field.path: field.title for field in fields_of(model)}
    problems = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"] if part != model.__name__)
        problems.append((titles.get(path, path or "configuration"), refusal(item)))
    return problems


def _collect(model: type[BaseModel], values: Mapping[str, FormValue], prefix: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        path = f"{prefix}{name}"
        if _is_constant(info):
            data[name] = str(info.default)
            continue
        part, is_optional = _part_of(info.annotation)
        if part is None:
            data[name] = _written(_field(path, info), values[path])
        elif _is_many(info.annotation):
            slots = [_collect(part, values, f"{path}.{slot}.") for slot in range(_num_slots(info, part))]
            data[name] = [slot for slot in slots if next(iter(slot.values()))]
        elif is_optional and not values[f"{path}.is_set"]:
            data[name] = None
        else:
            data[name] = _collect(part, values, f"{path}.")
    return data


def _part_fields(path: str, info: FieldInfo, part: type[BaseModel], is_optional: bool) -> Iterator[FormField]:
    if _is_many(info.annotation):
        for slot in range(_num_slots(info, part)):
            yield from _slot_fields(f"{path}.{slot}", slot, part)
        return
    if is_optional:
        yield FormField(f"{path}.is_set", FieldKind.FLAG, info.title or path, info.description or "", False)
    for name, inner in part.model_fields.items():
        deeper, deeper_optional = _part_of(inner.annotation)
        here = f"{path}.{name}"
        if deeper is not None:
            yield from _part_fields(here, inner, deeper, deeper_optional)
        elif not _is_constant(inner):
            yield _field(here, inner)


def _slot_fields(path: str, slot: int, part: type[BaseModel]) -> Iterator[FormField]:
    """One of several like parts; the slot is unused while its first field is empty."""
    for place, (name, info) in enumerate(part.model_fields.items()):
        if _is_constant(info):
            continue
        field = _field(f"{path}.{name}", info)
        title = f"{field.title} {slot + 1}"
        if place == 0:
            choices = ("", *field.choices) if field.choices else ()
            help_ = "Choose one to add it." if slot and choices else field.help
            yield FormField(field.path, field.kind, title, help_, "", choices=choices)
        else:
            yield replace(field, title=title)


def _field(path: str, info: FieldInfo) -> FormField:
    kind, choices, is_optional = _kind_of(info.annotation)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    low, high = _bounds(info, kind)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return FormField(
        path=path,
        kind=kind,
        title=info.title or path.rsplit(".", 1)[-1],
        help=info.description or "",
        default=_shown(kind, default),
        unit=str(extra.get("unit", "")),
        choices=choices,
        low=low,
        high=high,
        is_optional=is_optional,
    )


def _kind_of(annotation: Any) -> tuple[FieldKind, tuple[str, ...], bool]:
    inner, is_optional = _without_none(annotation)
    if get_origin(inner) is Literal:
        return FieldKind.CHOICE, tuple(str(value) for value in get_args(inner)), is_optional
    kind = FieldKind.CHOICE
    if get_origin(inner) is tuple:
        inner, kind = get_args(inner)[0], FieldKind.SEVERAL
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        return kind, tuple(member.value for member in inner), is_optional
    if kind is FieldKind.SEVERAL:
        return FieldKind.LINES, (), is_optional
    assert inner in PLAIN_KINDS, f"a form cannot show {annotation}: teach ui/forms.py this type"
    return PLAIN_KINDS[inner], (), is_optional


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [item for item in get_args(annotation) if item is not type(None)]
        assert len(inner) == 1, f"a form cannot show the union {annotation}"
        return inner[0], True
    return annotation, False


def _part_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside a field (one, an optional one, or a tuple of them), and whether it may be absent."""
    inner, is_optional = _without_none(annotation)
    if get_origin(inner) is tuple:
        inner = get_args(inner)[0]
    is_part = isinstance(inner, type) and issubclass(inner, BaseModel)
    return inner if is_part else None, is_optional


def _is_many(annotation: Any) -> bool:
    return get_origin(_without_none(annotation)[0]) is tuple


def _num_slots(info: FieldInfo, part: type[BaseModel]) -> int:
    """As many slots as there are choices, for each may stand once, but no more than the model takes."""
    kind, choices, _ = _kind_of(next(iter(part.model_fields.values())).annotation)
    limits: list[int] = [item.max_length for item in info.metadata if isinstance(item, MaxLen)]
    return min(len(choices) if kind is FieldKind.CHOICE else MAX_SLOTS, *limits, MAX_SLOTS)


def _is_constant(info: FieldInfo) -> bool:
    is_the_studios = isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("readOnly") is True
    return is_the_studios or (get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1)


def _bounds(info: FieldInfo, kind: FieldKind) -> tuple[str, str]:
    low = high = ""
    for item in info.metadata if kind in (FieldKind.WHOLE, FieldKind.NUMBER) else ():
        if isinstance(item, Ge):
            low = spaced(item.ge)
        elif isinstance(item, Gt):
            low = f"more than {item.gt:g}"
        elif isinstance(item, Le):
            high = spaced(item.le)
        elif isinstance(item, Lt):
            high = f"less than {item.lt:g}"
    return low, high


def spaced(number: Any) -> str:
    """A number with its thousands set apart."""
    return f"{number:,}".replace(",", NARROW_SPACE)


def _read(field: FormField, data: Any) -> FormValue:
    """A field's value in dumped data; its default where the part or slot is absent."""
    for key in field.path.split("."):
        if key == "is_set":
            return data is not None
        if data is None or (isinstance(data, list) and int(key) >= len(data)):
            return field.default
        data = data[int(key)] if isinstance(data, list) else data[key]
    return _shown(field.kind, data)


def _shown(kind: FieldKind, value: Any) -> FormValue:
    if kind is FieldKind.LINES:
        return "\n".join(value or ())
    if kind is FieldKind.SEVERAL:
        return [str(item) for item in value or ()]
    if isinstance(value, StrEnum):
        return value.value
    return "" if value is None and kind in (FieldKind.TEXT, FieldKind.CHOICE) else value


def _written(field: FormField, value: FormValue) -> FormValue | Sequence[str]:
    if field.kind is FieldKind.LINES:
        return [line for line in str(value or "").split("\n") if line.strip()]
    if isinstance(value, list):
        # In the order of the choices, whatever was ticked first: the same ticks are the same configuration.
        return [choice for choice in field.choices if choice in value]
    if field.kind in (FieldKind.TEXT, FieldKind.CHOICE) and field.is_optional and value == "":
        return None
    return value


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", maxsplit=1)[0]
