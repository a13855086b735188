"""What every exporter is: it takes a run's numbers step by step. Knows no tracker."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from backend.errors import UnavailableError
from backend.schemas.run import Run, RunStatus


class Tracker(StrEnum):
    """A program that keeps metrics; also the name of the extra that installs it."""

    WANDB = "wandb"
    MLFLOW = "mlflow"
    TRACKIO = "trackio"


@dataclass(frozen=True)
class RunFacts:
    """What a tracker is told of a run once."""

    id: str
    name: str
    settings: Mapping[str, str | int | float | bool]
    """the configuration, flat: paths joined by dots"""
    tags: tuple[str, ...]


class Sink(Protocol):
    """A run with a tracker."""

    tracker: Tracker
    last_step: int
    """the last step that was written, by this export or an earlier one; -1 where there was none"""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers of one step; steps come in order."""

    def close(self, *, outcome: RunStatus | None) -> None:
        """Ends the tracker's run as ours ended; None where ours goes on."""


def facts_of(run: Run) -> RunFacts:
    """What a tracker is told of a run."""
    settings = dict(_flat(run.config.model_dump(mode="json"), ""))
    return RunFacts(str(run.id), run.name, settings, tuple(run.tags))


def load_package(name: str, extra: Tracker) -> Any:
    """A tracker's package.

    Raises:
        UnavailableError: when it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnavailableError(
            f"{name} is not installed here: it comes with an extra, pip install 'unmask-studio[{extra}]' "
            f"(in a checkout: pip install '.[{extra}]')"
        ) from error


def _flat(value: Any, path: str) -> list[tuple[str, str | int | float | bool]]:
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in _flat(inner, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [each for place, inner in enumerate(value) for each in _flat(inner, f"{path}.{place}")]
    return [(path, "" if value is None else value)]
