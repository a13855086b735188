"""The dictionary's pair sets: preference pairs that are frozen or imported, for reward models to learn from."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from backend.schemas.base import Timestamp, WireModel

SHA256 = r"^[0-9a-f]{64}$"


class PairFormat(StrEnum):
    """How preference pairs are exchanged with other programs."""

    PICK_A_PIC = "pick_a_pic"  # A Parquet file of Pick-a-Pic's columns, one row a vote: what PickScore's trainer reads.
    HPDV2 = "hpdv2"  # A zip of HPDv2's JSON, one entry a pair, and the pictures.
    CSV = "csv"  # One line a vote; a picture is named by its SHA-256.


class PairPart(StrEnum):
    """A part of the prompts, by the names of Pick-a-Pic's splits; which one a prompt is in follows from its text."""

    TRAIN = "train"  # Eight of ten prompts.
    VALIDATION = "validation_unique"
    TEST = "test_unique"


class PairSetCreate(WireModel):
    """Freezes a label task's votes as they are now, or reads pairs from a file or folder of the server's."""

    name: str = Field(min_length=1, max_length=120, description="What lists call it; no part of the set's SHA-256")
    label_task_id: UUID | None = Field(None, description="Freeze the votes of this label task")
    exclude_rater: tuple[UUID, ...] = Field(
        (), max_length=1000, description="Raters left out of the frozen set, beside those that are excluded already"
    )
    path: str | None = Field(
        None, min_length=1, max_length=1000, description="A file or folder that the studio's machine can read"
    )
    format: PairFormat | None = Field(None, description="The format of what lies at `path`")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.label_task_id is None) == (self.path is None):
            raise ValueError("give either label_task_id, to freeze votes, or path with format, to import pairs")
        if (self.path is None) != (self.format is None):
            raise ValueError("path and format belong together: say which of pick_a_pic, hpdv2, csv lies at path")
        return self


class PairSet(WireModel):
    """A set of preference pairs that never changes: its name on the disk is the SHA-256 of its pairs."""

    sha256: str = Field(description="Of pairs.jsonl, which names each picture by its own SHA-256")
    name: str
    version: int = Field(1, description="Counts the sets of one label task, or the imports of one name, from 1")
    created_at: Timestamp
    source: dict[str, Any] = Field(description="Where the pairs come from: a label task with its guideline, or a file")
    left_out: dict[str, int] = Field(description="What the source has and the set has not, by reason")
    num_pairs: int
    num_prompts: int
    num_pictures: int
    num_votes: int
    num_ties: int = Field(description="Pairs without a majority")
    num_raters: int
    num_simulated_raters: int = Field(description="Of the raters, those that are programs")
    num_bytes: int
    used_by: tuple[UUID, ...] = Field((), description="Runs whose configuration names the set; only told of one set")


class FrozenVote(WireModel):
    """A vote as a pair set keeps it."""

    rater: str = Field(description="A hash that stands for the rater")
    label_0: float = Field(description="1 = the first picture, 0 = the second, a half = neither")
    is_simulated: bool = Field(description="A program voted")
    choice: str | None = Field(description="0, 1, tie or both_bad, where that is known")
    created_at: str | None = Field(description="ISO 8601 with its offset, as the source wrote it")
    guideline_version: int | None


class FrozenPair(WireModel):
    """A pair of a set: two pictures of one prompt, and what was chosen."""

    index: int = Field(description="Its line in pairs.jsonl, from 0")
    prompt: str
    task: str | None
    image_0_url: str
    image_1_url: str
    label_0: float = Field(description="The share of votes for the first picture, a tie half")
    majority: int | None = Field(description="The picture that more votes chose, 0 or 1; null = as many chose either")
    votes: tuple[FrozenVote, ...] = Field(description="Empty where an import told a label alone")
    provenance: dict[str, Any] = Field(description="What made each picture, as far as the source told it")
