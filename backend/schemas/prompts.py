"""Where a run's prompts come from: the small world's captions, or a list."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from backend.schemas.base import Section


class PromptSplit(StrEnum):
    """The small world's two disjoint sets of captions."""

    TRAIN = "train"
    HELDOUT = "heldout"


class TaskName(StrEnum):
    """GenEval's six tasks, as the small world has them."""

    SINGLE_OBJECT = "single_object"
    TWO_OBJECT = "two_object"
    COUNTING = "counting"
    COLORS = "colors"
    POSITION = "position"
    COLOR_ATTR = "color_attr"


TASK_NAMES = tuple(task.value for task in TaskName)


NUM_HELDOUT_CAPTIONS = 540


class PromptConfig(Section):
    """Where the prompts come from: the small world's captions, a list, or a prompt set."""

    split: PromptSplit = Field(PromptSplit.TRAIN, title="Captions", description="Which split of the small world.")
    tasks: tuple[TaskName, ...] = Field(
        (), title="Tasks", description="Only these tasks; empty = all six, equally often.", max_length=6
    )
    texts: tuple[str, ...] = Field(
        (),
        title="Own prompts",
        description="These prompts instead of the world's captions.",
        max_length=10_000,
    )
    prompt_set: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        title="Prompt set",
        description="SHA-256 of a version of a prompt set, instead of the world's captions; empty = none.",
    )

    @field_validator("tasks", mode="before")
    @classmethod
    def _tasks_are_known(cls, tasks: Any) -> Any:
        unknown = [task for task in tasks if task not in TASK_NAMES] if isinstance(tasks, list | tuple) else []
        if unknown:
            raise ValueError(
                f"prompts.tasks names {unknown}, which the small world does not have: take from {list(TASK_NAMES)}"
            )
        return tasks

    @field_validator("texts")
    @classmethod
    def _texts_have_words(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            if not text.strip() or len(text) > 1000:
                raise ValueError(f"a prompt needs 1 to 1000 characters, got {text[:40]!r} ({len(text)})")
        return texts

    @model_validator(mode="after")
    def _prompts_come_from_one_place(self) -> Self:
        if self.texts and self.prompt_set:
            raise ValueError(
                f"prompts.texts ({len(self.texts)}) and prompts.prompt_set are both set: empty one of them, or put "
                "the texts into a new version of the set"
            )
        return self
