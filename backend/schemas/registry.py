"""The dictionary's models: where each comes from, what it is called, who uses it, and what was made from what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.schemas.base import Timestamp, WireModel

AliasName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Lower case, digits and hyphens")]


class ModelKind(StrEnum):
    """Where a model comes from."""

    BASE = "base"  # Shipped with the studio.
    IMPORTED = "imported"  # A folder or a hub name that a person entered.
    CHECKPOINT = "checkpoint"  # A run's policy after one of its steps.
    EXPORT = "export"  # A run's final policy.
    REWARD_MODEL = "reward_model"  # Learned from votes: a reward, no policy.


class AliasKind(StrEnum):
    """What sort of model a name means; it stays that sort until the name is given up."""

    POLICY = "policy"  # Goes wherever a policy's source does.
    REWARD_MODEL = "reward_model"  # Goes where the source of a learned reward does.


class Model(WireModel):
    """A model that runs can start from or be rewarded by."""

    source: str = Field(description="Its ref: what goes into `policy.source`, or into a reward's `source`")
    kind: ModelKind
    name: str
    run_id: UUID | None
    step: int | None
    num_parameters: int | None = Field(description="Of transformer and tokenizer; null = its files are not there")
    num_bytes: int | None = Field(None, description="On disk; of a checkpoint with all that resuming needs")
    aliases: tuple[str, ...] = ()
    created_at: Timestamp | None
    description: str


class ModelImport(WireModel):
    """What enters a model from outside."""

    source: str = Field(min_length=1, max_length=1000, description="A folder of the server, or a hub name")
    name: str = Field("", max_length=120, description="Shown in lists; empty = the source's last part")
    note: str = Field("", max_length=1000)


class ModelUser(WireModel):
    """Something that refers to a model, so that the model may not be deleted."""

    kind: str = Field(description="alias, label_task, or the kind of a run")
    id: str
    name: str


class Alias(WireModel):
    """A name that means one model now; `alias:<name>` goes wherever the source of its kind does."""

    name: str
    target: str = Field(description="The ref of the model that it means")
    kind: AliasKind
    revision: int
    created_at: Timestamp
    updated_at: Timestamp


class AliasSet(WireModel):
    """Which model a name is to mean."""

    target: str = Field(min_length=1, max_length=1000, description="shipped, run:<id>@<step>, run:<id>, or imported")
    note: str = Field("", max_length=1000, description="Why; kept with the move")


class AliasMove(WireModel):
    """One move of an alias; null as target where the name was given up."""

    id: UUID
    name: str
    revision: int
    target: str | None
    previous: str | None
    note: str
    created_at: Timestamp


class LineageKind(StrEnum):
    """What stands in a lineage."""

    BASE = "base"
    IMPORTED = "imported"
    RUN = "run"  # A run that makes a policy; its checkpoints and its export are one node.
    REWARD_MODEL = "reward_model"
    PROMPT_SET = "prompt_set"
    PAIR_SET = "pair_set"


class Relation(StrEnum):
    """How one thing went into another."""

    STARTED_FROM = "started_from"
    REWARDED_BY = "rewarded_by"
    PROMPTED_BY = "prompted_by"
    LEARNED_FROM = "learned_from"


class LineageNode(WireModel):
    """One thing of a lineage."""

    id: str
    kind: LineageKind
    name: str
    run_id: UUID | None = None
    status: str | None = Field(None, description="Of the run that makes it")
    aliases: tuple[str, ...] = ()
    detail: str = ""


class LineageEdge(WireModel):
    """`origin` went into `product`."""

    origin: str
    product: str
    relation: Relation
    ref: str = Field(description="Exactly what was referred to, such as run:<id>@20")


class Lineage(WireModel):
    """What a model was made from, and what was made from it."""

    ref: str
    focus: str = Field(description="The id of the model's own node")
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    is_cut: bool = Field(False, description="True where there was more than is told")
