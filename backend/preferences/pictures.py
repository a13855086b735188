"""A run's stored pictures as they may stand in a pair: which policy's, which steps', in which order. Makes no pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import GroupRow, RunRow, SampleRow
from backend.schemas.base import FieldProblem
from backend.schemas.picture_runs import POLICY
from backend.schemas.preference import PairSide

MOST_SAMPLES = 50_000
TRAIN, EVALUATE, PROBE, SAMPLE = "train", "evaluate", "probe", "sample"
_MADE = (GroupRow.step, GroupRow.index, GroupRow.purpose, GroupRow.policy, SampleRow.index)


@dataclass(frozen=True)
class Picture:
    """A sample that may stand on one side of a pair."""

    sample: SampleRow
    group: GroupRow
    policy: str
    """what made it, in words that tell it from the other side"""

    @property
    def side(self) -> dict[str, Any]:
        """What a pair keeps of it."""
        side = PairSide(
            sample_id=self.sample.id,
            run_id=self.sample.run_id,
            policy=self.policy,
            step=self.sample.step,
            seed=self.sample.seed,
            reward=self.sample.reward,
            image_path=self.sample.image_path,
            image_sha256=self.sample.image_sha256,
        )
        return side.model_dump(mode="json")


Couple = tuple[Picture, Picture]


def pictures_of(
    session: Session, run: RunRow, which: ColumnElement[bool], name: Callable[[GroupRow], str]
) -> list[Picture]:
    """The newest `MOST_SAMPLES` of a run's pictures, in the order in which they were made.

    Of one step and prompt the order is by purpose and policy: several policies make pictures there, and which of them
    comes last may not be the database's to choose.
    """
    query = (
        select(SampleRow, GroupRow)
        .join(GroupRow, GroupRow.id == SampleRow.group_id)
        .where(SampleRow.run_id == run.id, which)
        .order_by(*(each.desc() for each in _MADE))
        .limit(MOST_SAMPLES)
    )
    found = [Picture(sample, group, name(group)) for sample, group in session.execute(query)]
    return found[::-1]


def newest_of(session: Session, run: RunRow, policy: str, other: RunRow) -> list[Picture]:
    """A run's pictures by one of its policies outside training, of each prompt and seed the newest.

    Args:
        other: the run that these are told from.

    Raises:
        MalformedError: when the run's pictures are all by other policies.
    """
    name = run.name if run.name != other.name else f"{run.name} {str(run.id)[-6:]}"
    name = name if policy == POLICY else f"{name} ({policy})"
    is_told = GroupRow.purpose != TRAIN
    found = pictures_of(session, run, is_told & (GroupRow.policy == policy), lambda _: name)
    if not found:
        _refuse_policy(session, run, policy, is_told)
    return list({(each.group.prompt, each.sample.seed): each for each in found}.values())


def _refuse_policy(session: Session, run: RunRow, policy: str, is_told: ColumnElement[bool]) -> None:
    """Says which policies a run has pictures by, where it has any."""
    query = select(GroupRow.policy).where(GroupRow.run_id == run.id, is_told).distinct().order_by(GroupRow.policy)
    if there := session.scalars(query).all():
        message = f"run {run.id} has no pictures by {policy!r} outside training: name one of {', '.join(there)}"
        raise MalformedError(message, (FieldProblem(pointer="/source/run_policies", message=message),))


def differs(couple: Couple) -> bool:
    """Whether a couple's pictures are two."""
    return couple[0].sample.image_sha256 != couple[1].sample.image_sha256
