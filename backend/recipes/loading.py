"""The shipped recipes: configurations that reproduce a result, each opened by what it costs and what to expect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from backend.errors import NotFoundError
from backend.schemas.config import run_config_adapter
from backend.schemas.every_run import BaseRunConfig
from backend.schemas.refusal import refusals
from backend.schemas.run import Recipe

RECIPES_DIR = Path(__file__).resolve().parent

_KEYS = ("title", "description", "cost", "expected", "command")
_KEY_LINE = re.compile(rf"# ({'|'.join(_KEYS)}): (.*)")


@cache
def load_recipes(folder: Path = RECIPES_DIR) -> tuple[Recipe, ...]:
    """The recipes of a folder, by file name.

    Raises:
        ValueError: when a recipe lacks a part of its header, or its configuration is refused.
    """
    return tuple(load_recipe(path) for path in sorted(folder.glob("*.yaml")))


def load_recipe(path: Path) -> Recipe:
    """One recipe: comment lines `# title: ...` and so on, where indented ones go on with the last, then a RunConfig.

    Raises:
        ValueError: see `load_recipes`.
    """
    text = path.read_text()
    header = _header_of(text)
    missing = [key for key in _KEYS if not header.get(key)]
    if missing:
        raise ValueError(f"recipe {path.name} lacks the comment lines {missing}: begin it with `# {missing[0]}: ...`")
    try:
        config = run_config_adapter.validate_python(yaml.safe_load(text))
    except ValidationError as error:
        raise ValueError(f"recipe {path.name}: {refusals(error)}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"recipe {path.name}: {error}") from error
    return Recipe(name=path.stem, config=config, yaml=text, **header)


def get_recipe(name: str, folder: Path = RECIPES_DIR) -> Recipe:
    """The recipe of that name; NotFoundError when there is none."""
    for recipe in load_recipes(folder):
        if recipe.name == name:
            return recipe
    names = ", ".join(recipe.name for recipe in load_recipes(folder))
    raise NotFoundError(f"there is no recipe {name!r}: there are {names or 'none'}")


def changed_settings(name: str | None, config: BaseRunConfig) -> tuple[str, ...] | None:
    """The settings, by path, in which a configuration differs from a recipe as it is shipped now; its name is none.

    None where there is no such recipe of the configuration's kind.
    """
    recipe = next((recipe for recipe in load_recipes() if recipe.name == name), None)
    if recipe is None or type(recipe.config) is not type(config):
        return None
    paths = _differences(recipe.config.model_dump(mode="json"), config.model_dump(mode="json"))
    return tuple(path for path in paths if path != "name")


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}"


def _header_of(text: str) -> dict[str, str]:
    header: dict[str, str] = {}
    key = None
    for line in _comment_lines(text):
        if found := _KEY_LINE.fullmatch(line):
            key = found[1]
            header[key] = found[2].strip()
        elif key is not None and line.startswith("#  "):
            header[key] = f"{header[key]} {line[1:].strip()}".strip()
        else:
            key = None
    return header


def _comment_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        yield line.rstrip()
