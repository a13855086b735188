"""All SQL on pairs: the samples of an evaluation's base and policy that share prompt, place and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from backend.models import EventRow, GroupRow, SampleRow
from backend.schemas.evaluation import PairOrder

BASE, POLICY = "base", "policy"
_PURPOSE = "evaluate"

BaseGroup, PolicyGroup = aliased(GroupRow), aliased(GroupRow)
BaseSample, PolicySample = aliased(SampleRow), aliased(SampleRow)
# A pair of which a picture was not judged stands between gains and losses.
DIFFERENCE: ColumnElement[float] = func.coalesce(PolicySample.reward - BaseSample.reward, 0.0)


@dataclass(frozen=True)
class PairPlace:
    """Where a pair stands in a list: its difference, then its prompt's place and its own."""

    difference: float
    group_index: int
    index: int


@dataclass(frozen=True)
class PairRows:
    """A pair as it is stored."""

    base_group: GroupRow
    base: SampleRow
    policy_group: GroupRow
    policy: SampleRow
    place: PairPlace


@dataclass(frozen=True)
class PairCounts:
    """How many pairs are stored, and how they fared."""

    num_pairs: int
    num_wins: int
    num_losses: int
    tasks: tuple[str, ...]


def list_pairs(
    session: Session,
    *,
    run_id: UUID,
    order: PairOrder,
    limit: int,
    after: PairPlace | None = None,
    task: str | None = None,
) -> list[PairRows]:
    """Pairs, the worst or the best first."""
    # One row comparison serves both orders: with the sign turned, the best come first.
    key = DIFFERENCE if order is PairOrder.WORST else -DIFFERENCE
    query = _pairs(select(BaseGroup, BaseSample, PolicyGroup, PolicySample, key), run_id)
    place = tuple_(key, PolicyGroup.index, PolicySample.index)
    if after is not None:
        query = query.where(place > (after.difference, after.group_index, after.index))
    if task is not None:
        query = query.where(PolicyGroup.task == task)
    rows = session.execute(query.order_by(key, PolicyGroup.index, PolicySample.index).limit(limit))
    return [
        PairRows(base_group, base, group, sample, PairPlace(difference, group.index, sample.index))
        for base_group, base, group, sample, difference in rows
    ]


def count_pairs(session: Session, *, run_id: UUID) -> PairCounts:
    """How many pairs are stored, won and lost, and their tasks."""
    won, lost = func.count().filter(DIFFERENCE > 0), func.count().filter(DIFFERENCE < 0)
    query = _pairs(select(PolicyGroup.task, func.count(), won, lost), run_id).group_by(PolicyGroup.task)
    rows = [tuple(row) for row in session.execute(query)]
    return PairCounts(
        num_pairs=sum(row[1] for row in rows),
        num_wins=sum(row[2] for row in rows),
        num_losses=sum(row[3] for row in rows),
        tasks=tuple(sorted(row[0] for row in rows if row[0] is not None)),
    )


def list_prompts(session: Session, *, run_id: UUID) -> tuple[str, ...]:
    """The prompts that an evaluation has shown so far, in their order."""
    query = select(GroupRow.prompt, GroupRow.index).where(GroupRow.run_id == run_id, GroupRow.purpose == _PURPOSE)
    rows = session.execute(query.distinct().order_by(GroupRow.index, GroupRow.prompt))
    return tuple(prompt for prompt, _ in rows)


def list_scores(session: Session, *, run_id: UUID) -> Sequence[EventRow]:
    """The events that tell a score, in order."""
    query = select(EventRow).where(EventRow.run_id == run_id, EventRow.body["type"].astext == "score")
    return session.scalars(query.order_by(EventRow.seq)).all()


def _pairs(query: Select, run_id: UUID) -> Select:  # type: ignore[type-arg]
    """Joins what was made of one prompt from one seed."""
    return (
        query.select_from(PolicyGroup)
        .join(
            BaseGroup,
            (BaseGroup.run_id == PolicyGroup.run_id)
            & (BaseGroup.purpose == PolicyGroup.purpose)
            & (BaseGroup.step == PolicyGroup.step)
            & (BaseGroup.index == PolicyGroup.index)
            & (BaseGroup.policy == BASE),
        )
        .join(PolicySample, PolicySample.group_id == PolicyGroup.id)
        .join(
            BaseSample,
            (BaseSample.group_id == BaseGroup.id)
            & (BaseSample.index == PolicySample.index)
            & (BaseSample.seed == PolicySample.seed),
        )
        .where(PolicyGroup.run_id == run_id, PolicyGroup.purpose == _PURPOSE, PolicyGroup.policy == POLICY)
    )
