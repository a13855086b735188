"""The dictionary's sources of pairs: which pictures of which runs stand against each other."""

from __future__ import annotations

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from backend.schemas.base import WireModel


class PairSourceKind(StrEnum):
    """Where the two pictures of a pair come from; both are always of one prompt."""

    EVALUATION = "evaluation"  # Two policies of one evaluation, the same seed.
    CHECKPOINTS = "checkpoints"  # Two steps of one run, from its probes: the same seed.
    RUNS = "runs"  # Two runs, the newest pictures of each prompt: the same seed.
    WITHIN_GROUP = "within_group"  # Two samples of one training group.
    SAMPLING = "sampling"  # Two seeds of one prompt of a sample run.


class PairSourceConfig(WireModel):
    """What pairs are made of."""

    kind: PairSourceKind
    run_id: UUID = Field(description="The evaluation, the run, or the first of two runs")
    other_run_id: UUID | None = Field(None, description="The second run; for kind runs only")
    steps: tuple[int, int] | None = Field(
        None,
        description="For kind checkpoints two steps of the run's probes, empty = the first and the last; for kind "
        "within_group the first and the last step whose groups are taken, empty = all",
    )
    policies: tuple[str, str] = Field(
        ("base", "policy"), description="Two policies of the evaluation; for kind evaluation only"
    )
    run_policies: tuple[str, str] = Field(
        ("policy", "policy"),
        description="Whose pictures of the first run, and of the second: of an evaluation the label of any of its "
        "policies; for kind runs only",
    )

    @model_validator(mode="after")
    def _has_two_sides(self) -> Self:
        if (self.kind is PairSourceKind.RUNS) != (self.other_run_id is not None):
            raise ValueError("other_run_id names the second run for kind runs, and is for that kind only")
        if self.steps is not None and self.kind is PairSourceKind.WITHIN_GROUP:
            if self.steps[0] > self.steps[1]:
                raise ValueError("steps names the first step and the last, in this order")
        elif self.steps is not None and (self.kind is not PairSourceKind.CHECKPOINTS or self.steps[0] == self.steps[1]):
            raise ValueError("steps names two different steps, for kind checkpoints only; or a range for within_group")
        if self.kind is not PairSourceKind.RUNS and self.run_policies != ("policy", "policy"):
            raise ValueError("run_policies names a policy of each run, for kind runs only")
        if self.policies[0] == self.policies[1]:
            raise ValueError(f"policies names {self.policies[0]!r} twice: a pair needs two policies")
        return self
