"""From a recipe's name or a YAML file, and `--set` words, to a checked RunConfig."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from backend.client import StudioClient
from backend.errors import MalformedError, NotFoundError
from backend.schemas.base import FieldProblem
from backend.schemas.config import AnyRunConfig, run_config_adapter
from backend.schemas.every_run import RunKind
from backend.schemas.refusal import refusal

KINDS = tuple(kind.value for kind in RunKind)


def read_source(client: StudioClient, source: str) -> tuple[dict[str, Any], str | None]:
    """The configuration that a source names, and the recipe's name where it is one."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml", ".json"):
        return _read_file(path), None
    recipes = {recipe.name: recipe for recipe in client.list_recipes()}
    if source not in recipes:
        raise NotFoundError(f"{source!r} is no recipe and no YAML file{_did_you_mean(source, list(recipes))}")
    return recipes[source].config.model_dump(mode="json"), source


def checked(values: dict[str, Any], changes: Sequence[str] = ()) -> AnyRunConfig:
    """The configuration with `--set` changes applied; MalformedError names each field that is wrong."""
    config = _validated(values)
    if not changes:
        return config
    # The whole configuration, defaults included, so that a change finds every field, and a misspelt one finds none.
    whole = config.model_dump(mode="json")
    for change in changes:
        _apply(whole, change)
    return _validated(whole)


def _validated(values: dict[str, Any]) -> AnyRunConfig:
    try:
        return run_config_adapter.validate_python(values)
    except ValidationError as error:
        problems = tuple(_problem(entry) for entry in error.errors())
        text = "; ".join(f"{problem.pointer}: {problem.message}" for problem in problems)
        raise MalformedError(text, problems) from error


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MalformedError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise MalformedError(f"{path} holds no configuration: write `field: value` lines, beginning with `kind: train`")
    return values


def _apply(values: dict[str, Any], change: str) -> None:
    name, separator, text = change.partition("=")
    if not separator or not name.strip():
        raise MalformedError(f"--set {change!r} is not of the form field=value, such as rollout.group_size=8")
    *parents, last = name.strip().split(".")
    place: Any = values
    for depth, part in enumerate(parents):
        place = _step_into(place, part, ".".join(parents[: depth + 1]))
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise MalformedError(f"--set {name}: {text!r} is no YAML value") from error
    if isinstance(place, list):
        place[_index(place, last, name)] = value
        return
    if isinstance(place, dict) and place and last not in place:
        raise MalformedError(f"--set {name}: there is no field {last!r}{_did_you_mean(last, list(place))}")
    place[last] = value


def _step_into(place: Any, part: str, name: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, part, name)]
    if not isinstance(place, dict) or part not in place:
        known = list(place) if isinstance(place, dict) else []
        raise MalformedError(f"--set {name}: there is no section {part!r}{_did_you_mean(part, known)}")
    if place[part] is None:
        place[part] = {}
    return place[part]


def _index(place: list[Any], part: str, name: str) -> int:
    if not part.isdigit() or int(part) >= len(place):
        raise MalformedError(f"--set {name}: {part!r} is no place in a list of {len(place)}, count from 0")
    return int(part)


def _problem(entry: ErrorDetails) -> FieldProblem:
    # Pydantic puts the discriminator's value first; a person knows the field without it.
    parts = [str(part) for part in entry["loc"] if str(part) not in KINDS]
    return FieldProblem(pointer=".".join(parts) or "kind", message=refusal(entry))


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f": did you mean {near[0]!r}?"
    return f": choose from {', '.join(sorted(known))}" if known else ""
