"""Prompt sets on the wire: named lists of prompts, whose every state is a version that never changes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from backend.schemas.base import Timestamp, WireModel

MAX_PROMPTS = 10_000
MAX_TEXT = 1000
MAX_LABEL = 40
MAX_TAGS = 16
MAX_FILE_BYTES = 16 * 2**20

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LABEL)]
SetName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class PromptFormat(StrEnum):
    """How a file holds prompts."""

    TEXT = "text"  # One a line.
    CSV = "csv"  # A header with text (or prompt), and task and tags where there are any.
    JSONL = "jsonl"  # One object a line; also GenEval's evaluation_metadata.jsonl.


class PromptEntry(WireModel):
    """A prompt of a set."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT)]
    task: Label | None = None
    tags: tuple[Label, ...] = Field((), max_length=MAX_TAGS)
    geneval: dict[str, Any] | None = Field(None, description="The line of GenEval's file, whole")


class PromptSetVersion(WireModel):
    """A state of a set; a run's configuration names it by its hash."""

    version: int
    sha256: str
    num_prompts: int
    num_duplicates: int = Field(description="Prompts whose text an earlier one has; they are kept")
    tasks: dict[str, int] = Field(description="How many prompts each task has; those without one are under none")
    note: str
    created_at: Timestamp


class PromptSet(WireModel):
    """A set as it is now."""

    id: UUID
    name: str
    is_builtin: bool
    latest: PromptSetVersion
    created_at: Timestamp
    updated_at: Timestamp


class PromptSetUser(WireModel):
    """A run whose configuration names a version."""

    run_id: UUID
    name: str
    kind: str
    version: int


class PromptSetDetail(PromptSet):
    """A set with its history."""

    versions: tuple[PromptSetVersion, ...] = Field(description="The newest first")
    used_by: tuple[PromptSetUser, ...] = Field(description="Runs, the newest first, at most 100")


class PromptSetCreate(WireModel):
    """A new set, of prompts as a file holds them."""

    name: SetName
    format: PromptFormat = PromptFormat.TEXT
    content: str = Field(min_length=1, description="The file's text; larger ones go to /prompt-sets/upload")


class PromptSetEdit(WireModel):
    """What changes: a name, or all prompts, which makes the next version."""

    name: SetName | None = None
    prompts: tuple[PromptEntry, ...] | None = Field(None, min_length=1, max_length=MAX_PROMPTS)
    note: str = Field("", max_length=300, description="Why; kept with the version")

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if self.name is None and self.prompts is None:
            raise ValueError("nothing would change: give name, prompts, or both")
        return self
