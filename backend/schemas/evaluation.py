"""The dictionary's comparisons: a policy and its base on the same prompts and seeds."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from backend.schemas.base import Number, WireModel
from backend.schemas.event import ScoreMeasured
from backend.schemas.figure import FigureKind
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import RunStatus
from backend.schemas.sample import Sample


class PairOrder(StrEnum):
    """Which pairs come first."""

    WORST = "worst"  # Where the policy's picture lost most against the base's.
    BEST = "best"  # Where it gained most.


class ExportFormat(StrEnum):
    """As what a comparison leaves the studio."""

    CSV = "csv"  # All pairs, a line each.
    HTML = "html"  # A report in one file that asks nothing of any server.


class SamplePair(WireModel):
    """The pictures that two policies, base and policy unless others were asked for, made of one prompt and seed."""

    prompt: str
    task: str | None
    seed: int
    base: Sample
    policy: Sample
    difference: Number = Field(description="The policy's reward minus the base's; null where one was not judged")
    others: dict[str, Sample] = Field(
        default_factory=dict, description="What the evaluation's other policies made of them, by label"
    )


class PairTally(WireModel):
    """How many pairs a choice leaves over, and how they fared."""

    num_pairs: int
    num_wins: int = Field(description="Those whose picture of the policy has the higher reward")
    num_losses: int
    num_unjudged: int = Field(description="Those of which a picture has no reward: neither won, lost nor equal")
    tasks: tuple[str, ...] = Field(description="Their tasks")


class Comparison(WireModel):
    """What an evaluation with a base has measured, all prompts, and how much of it is stored as pictures."""

    run_id: UUID
    name: str
    status: RunStatus
    config: EvaluateConfig
    base: ScoreMeasured | None = Field(description="Null until the evaluation has ended")
    policy: ScoreMeasured | None
    difference: ScoreMeasured | None = Field(
        description="Policy minus base, paired by prompt and seed, whatever `differences` are to"
    )
    smallest_visible: Number = Field(
        description="The difference of `overall` that this many prompts show in four of five evaluations, at 95 %: "
        "(1.96 + 0.84) standard errors, the error read off the paired interval"
    )
    num_pairs: int = Field(description="Pairs whose pictures are stored; the figures are of all")
    num_wins: int = Field(description="Of the stored pairs, those whose picture of the policy has the higher reward")
    num_losses: int
    tasks: tuple[str, ...] = Field(description="Tasks of the stored pairs")
    scores: tuple[ScoreMeasured, ...] = Field((), description="Every policy's figures, in the evaluation's order")
    against: str = Field("base", description="Label of the policy that `differences` are to: the first unless asked")
    differences: tuple[ScoreMeasured, ...] = Field(
        (),
        description="Each other policy minus the one that `against` names, paired by prompt and seed; `policy` is "
        "difference for the one with the label policy, else difference:<label>",
    )
    smallest_visible_by_figure: dict[str, Number] = Field(
        default_factory=dict, description="As smallest_visible, for every figure of `difference` that has an interval"
    )
    smallest_visible_by_policy: dict[str, dict[str, Number]] = Field(
        default_factory=dict, description="The same of each of `differences`, by the policy's label"
    )
    figure_kinds: dict[str, FigureKind] = Field(
        default_factory=dict, description="Of every figure of `scores`: its unit, and whether lower is better"
    )
