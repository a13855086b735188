"""What a person means by an id, a part of one, or a name: one rule for runs, models, label tasks, pair and prompt sets.

An id may be shortened to its beginning or its end, which is what lists and pages show, as long as one alone fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from backend.cli.studio import LARGEST_PAGE, all_items
from backend.client import StudioClient
from backend.errors import ConflictError, NotFoundError
from backend.schemas.config import AnyRunConfig, run_config_adapter
from backend.schemas.preference import LabelTask
from backend.schemas.run import Run

Item = TypeVar("Item")
RunID = Annotated[str, typer.Argument(help="The run's id, its first or last characters, or `last`")]
TaskID = Annotated[str, typer.Argument(help="The label task: its id, its first or last characters, or its name")]

# Fewer characters fit by chance.
_SHORTEST = 4
_MOST_SHOWN = 5
_MOST_ITEMS = 100_000
_WHOLE_SHA256 = 64
_SHORT_REF = re.compile(r"run:(?P<run>[0-9a-fA-F-]+|last)(?P<step>@\d+)?")


def one_of(
    items: Iterable[Item], text: str, what: str, *, ids: Callable[[Item], str], names: Callable[[Item], str], see: str
) -> Item:
    """The only item that a text means.

    Args:
        text: an id, its beginning or end, or a name.
        what: the items in words, in the plural.
        ids: an item's id.
        names: an item's name; "" where names mean nothing.
        see: the command that lists the items.

    Raises:
        NotFoundError: none is meant.
        ConflictError: several are.
    """
    all_of_them = list(items)
    wanted = text.lower()
    found = [each for each in all_of_them if ids(each) == wanted]
    found = found or [each for each in all_of_them if text and names(each) == text]
    if not found and len(text) >= _SHORTEST:
        found = [each for each in all_of_them if ids(each).startswith(wanted) or ids(each).endswith(wanted)]
    if not found:
        short = f", and less than {_SHORTEST} characters of an id are not looked for" if len(text) < _SHORTEST else ""
        raise NotFoundError(f"{text!r} matches none of the {what}{short}: see `{see}`")
    if len(found) > 1:
        told = ", ".join(ids(each) for each in found[:_MOST_SHOWN])
        raise ConflictError(f"{text!r} matches several {what}, {told}: give more of the id")
    return found[0]


def find_run(client: StudioClient, text: str) -> Run:
    """The run that an id, a part of one, or `last` means."""
    if text == "last":
        newest = client.list_runs(limit=1).data
        if not newest:
            raise NotFoundError("there is no run yet: create one with `unmask run create tiny-shapes`")
        return newest[0]
    try:
        return client.get_run(UUID(text))
    except ValueError:
        runs = all_items(lambda after: client.list_runs(limit=LARGEST_PAGE, after=after), at_most=_MOST_ITEMS)
    return one_of(runs, text, "runs", ids=lambda run: str(run.id), names=_nameless, see="unmask run list")


def find_task(client: StudioClient, text: str) -> LabelTask:
    """The label task that an id, a part of one, or a name means."""
    try:
        return client.get_label_task(UUID(text))
    except ValueError:
        tasks = all_items(lambda after: client.list_label_tasks(limit=LARGEST_PAGE, after=after), at_most=_MOST_ITEMS)
    return one_of(
        tasks,
        text,
        "label tasks",
        ids=lambda task: str(task.id),
        names=lambda task: task.name,
        see="unmask label list",
    )


def find_pair_set(client: StudioClient, text: str) -> str:
    """The SHA-256 of the pair set that it, a part of it, or a name means."""
    sets = all_items(lambda after: client.list_pair_sets(limit=LARGEST_PAGE, after=after), at_most=_MOST_ITEMS)
    found = one_of(
        sets, text, "pair sets", ids=lambda each: each.sha256, names=lambda each: each.name, see="unmask pairs list"
    )
    return found.sha256


def whole_ref(client: StudioClient, ref: str) -> str:
    """A model's ref with the whole id of its run; any other ref, or one of no run here, as it is.

    Raises:
        ConflictError: when it means several runs.
    """
    match = _SHORT_REF.fullmatch(ref)
    if match is None or _is_uuid(match["run"]):
        return ref
    try:
        return f"run:{find_run(client, match['run']).id}{match['step'] or ''}"
    except NotFoundError:
        # A run without a row, as `python -m worker` writes it, may be called so: the studio knows.
        return ref


def whole_refs(client: StudioClient, config: AnyRunConfig) -> AnyRunConfig:
    """A configuration in which each model of a run is named by the run's whole id."""
    before = config.model_dump(mode="json")
    after = _replaced(client, "", before)
    return config if after == before else run_config_adapter.validate_python(after)


def whole_pair_set(client: StudioClient, text: str) -> str:
    """A pair set's whole SHA-256; one that is whole already as it is, so that the studio says whether it is there."""
    return text if len(text) == _WHOLE_SHA256 else find_pair_set(client, text)


def _replaced(client: StudioClient, key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(client, name, each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_replaced(client, key, each) for each in value]
    return whole_ref(client, value) if key in ("source", "base") and isinstance(value, str) else value


def _nameless(_: object) -> str:
    """Names of runs are not unique, and a run's name may look like the end of another's id."""
    return ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
