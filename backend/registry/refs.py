"""A model's ref, read: shipped, a run's checkpoint or export, or something from outside. Knows no database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from backend.artifacts import RunFolder, name_of_run, run_folder
from backend.errors import MalformedError
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.every_run import ALIAS_PREFIX

SHIPPED = "shipped"
_RUN = re.compile(r"run:(?P<run>[0-9a-fA-F-]{36})(?:@(?P<step>\d{1,9}))?")
# In the order in which they are looked for.
EXPORTS = ("exports/policy", "exports/adapter", "exports/reward")


@dataclass(frozen=True)
class ModelRef:
    """A ref in its one spelling."""

    text: str
    run_id: UUID | None = None
    step: int | None = None

    @property
    def run_text(self) -> str:
        """The ref of the run's export, whichever of the run's models this is."""
        return f"run:{self.run_id}"

    @property
    def locked_as(self) -> str:
        """The name that naming locks know it by: all models of a run by the run's."""
        return self.text if self.run_id is None else name_of_run(self.run_id)


def read_ref(text: str) -> ModelRef:
    """The ref that a text spells.

    Raises:
        MalformedError: when it begins as a run's or an alias's and goes on as neither.
    """
    match = _RUN.fullmatch(text)
    if match is None:
        if text.startswith("run:"):
            raise MalformedError(f"{text!r} is no model: write run:<id>@<step>, or run:<id> for what the run exported")
        if text.startswith(ALIAS_PREFIX):
            raise MalformedError(f"{text!r} is an alias, not a model: ask GET /api/v1/aliases what it means")
        return ModelRef(text)
    run_id = UUID(match["run"])
    if match["step"] is None:
        return ModelRef(f"run:{run_id}", run_id)
    return ModelRef(f"run:{run_id}@{int(match['step'])}", run_id, int(match["step"]))


def model_folder(ref: ModelRef, runs_dir: Path) -> Path:
    """Where the model's files would lie, whether they are there or not; a hub name is no folder and is not there."""
    if ref.text == SHIPPED:
        return SHIPPED_POLICY
    if ref.run_id is None:
        return Path(ref.text).expanduser()
    folder = run_folder(runs_dir, ref.run_id)
    if ref.step is not None:
        return folder.path(f"checkpoints/{ref.step:06d}/policy")
    return next(iter(exports_of(folder)), folder.path(EXPORTS[0]))


def exports_of(folder: RunFolder) -> list[Path]:
    """The folders that a run has exported models into."""
    return [path for path in map(folder.path, EXPORTS) if path.is_dir()]
