"""All SQL on pairs: the samples of two of an evaluation's policies that share prompt, place and seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from backend.models import EventRow, GroupRow, SampleRow
from backend.schemas.evaluation import PairOrder

BASE, POLICY = "base", "policy"
_PURPOSE = "evaluate"
# Samples that are in memory together, of however many.
_AT_ONCE = 2000

BaseGroup, PolicyGroup = aliased(GroupRow), aliased(GroupRow)
BaseSample, PolicySample = aliased(SampleRow), aliased(SampleRow)
# A pair of which a picture was not judged stands between gains and losses.
DIFFERENCE: ColumnElement[float] = func.coalesce(PolicySample.reward - BaseSample.reward, 0.0)


@dataclass(frozen=True)
class PairChoice:
    """Which pairs are meant: of which two policies, of which task, with which difference of rewards."""

    base: str = BASE
    policy: str = POLICY
    order: PairOrder = PairOrder.WORST
    task: str | None = None
    min_difference: float | None = None
    max_difference: float | None = None


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
class MeasuredSample:
    """What one sample was given: whose it is, the places of its prompt and seed, its reward and that one's parts."""

    policy: str
    prompt: int
    task: str | None
    seed: int
    reward: float | None
    scores: dict[str, float | None]


@dataclass(frozen=True)
class PairCounts:
    """How many pairs are stored, and how they fared."""

    num_pairs: int
    num_wins: int
    num_losses: int
    num_unjudged: int
    tasks: tuple[str, ...]


def list_pairs(
    session: Session, *, run_id: UUID, choice: PairChoice, limit: int, after: PairPlace | None = None
) -> list[PairRows]:
    """Pairs, the worst or the best first."""
    # One row comparison serves both orders: with the sign turned, the best come first.
    key = DIFFERENCE if choice.order is PairOrder.WORST else -DIFFERENCE
    query = _chosen(select(BaseGroup, BaseSample, PolicyGroup, PolicySample, key), run_id, choice)
    place = tuple_(key, PolicyGroup.index, PolicySample.index)
    if after is not None:
        query = query.where(place > (after.difference, after.group_index, after.index))
    rows = session.execute(query.order_by(key, PolicyGroup.index, PolicySample.index).limit(limit))
    return [_rows_of(row) for row in rows]


def get_pair(session: Session, *, run_id: UUID, choice: PairChoice, sample_id: UUID) -> PairRows | None:
    """The pair of which a sample is either picture; None where it is in none."""
    query = _pairs(select(BaseGroup, BaseSample, PolicyGroup, PolicySample, DIFFERENCE), run_id, choice)
    row = session.execute(query.where((PolicySample.id == sample_id) | (BaseSample.id == sample_id))).one_or_none()
    return None if row is None else _rows_of(row)


def list_by_prompt(
    session: Session, *, run_id: UUID, choice: PairChoice, limit: int, after: PairPlace | None = None
) -> list[PairRows]:
    """The chosen pairs in the order of their prompts."""
    query = _chosen(select(BaseGroup, BaseSample, PolicyGroup, PolicySample, DIFFERENCE), run_id, choice)
    place = tuple_(PolicyGroup.index, PolicySample.index)
    if after is not None:
        query = query.where(place > (after.group_index, after.index))
    rows = session.execute(query.order_by(PolicyGroup.index, PolicySample.index).limit(limit))
    return [_rows_of(row) for row in rows]


def other_samples(
    session: Session, *, run_id: UUID, pairs: Collection[PairRows], choice: PairChoice
) -> dict[UUID, dict[str, tuple[SampleRow, GroupRow]]]:
    """What the policies beside the two made of the same prompts and seeds: by the policy's sample, then by label."""
    places = {(pair.policy_group.step, pair.policy_group.index) for pair in pairs}
    if not places:
        return {}
    query = (
        select(SampleRow, GroupRow)
        .join(GroupRow, SampleRow.group_id == GroupRow.id)
        .where(GroupRow.run_id == run_id, GroupRow.purpose == _PURPOSE)
        .where(tuple_(GroupRow.step, GroupRow.index).in_(places))
        .where(GroupRow.policy.not_in((choice.base, choice.policy)))
    )
    found: dict[tuple[int, int, int], dict[str, tuple[SampleRow, GroupRow]]] = {}
    for sample, group in session.execute(query):
        found.setdefault((group.index, sample.index, sample.seed), {})[group.policy] = (sample, group)
    return {
        pair.policy.id: found.get((pair.policy_group.index, pair.policy.index, pair.policy.seed), {}) for pair in pairs
    }


def count_pairs(session: Session, *, run_id: UUID, choice: PairChoice | None = None) -> PairCounts:
    """How many pairs are stored, won and lost, and their tasks; of base and policy unless told otherwise."""
    won, lost = func.count().filter(DIFFERENCE > 0), func.count().filter(DIFFERENCE < 0)
    unjudged = func.count().filter((PolicySample.reward - BaseSample.reward).is_(None))
    columns = select(PolicyGroup.task, func.count(), won, lost, unjudged)
    query = _chosen(columns, run_id, choice or PairChoice()).group_by(PolicyGroup.task)
    rows = [tuple(row) for row in session.execute(query)]
    return PairCounts(
        num_pairs=sum(row[1] for row in rows),
        num_wins=sum(row[2] for row in rows),
        num_losses=sum(row[3] for row in rows),
        num_unjudged=sum(row[4] for row in rows),
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


def list_measured(session: Session, *, run_id: UUID, policies: Collection[str]) -> Iterator[MeasuredSample]:
    """Every sample of such policies."""
    query = (
        select(GroupRow.policy, GroupRow.index, GroupRow.task)
        .add_columns(SampleRow.index, SampleRow.reward, SampleRow.reward_breakdown)
        .join(SampleRow, SampleRow.group_id == GroupRow.id)
        .where(GroupRow.run_id == run_id, GroupRow.purpose == _PURPOSE, GroupRow.policy.in_(policies))
    )
    for row in session.execute(query.execution_options(yield_per=_AT_ONCE)):
        yield MeasuredSample(*row)


def _rows_of(row: Row[*tuple[Any, ...]]) -> PairRows:
    base_group, base, group, sample, difference = row
    return PairRows(base_group, base, group, sample, PairPlace(difference, group.index, sample.index))


def _chosen(query: Select, run_id: UUID, choice: PairChoice) -> Select:  # type: ignore[type-arg]
    """The pairs that a choice leaves over. A bound on the difference leaves out what was not judged."""
    query = _pairs(query, run_id, choice)
    if choice.task is not None:
        query = query.where(PolicyGroup.task == choice.task)
    if choice.min_difference is not None:
        query = query.where(PolicySample.reward - BaseSample.reward >= choice.min_difference)
    if choice.max_difference is not None:
        query = query.where(PolicySample.reward - BaseSample.reward <= choice.max_difference)
    return query


def _pairs(query: Select, run_id: UUID, choice: PairChoice) -> Select:  # type: ignore[type-arg]
    """Joins what was made of one prompt from one seed."""
    return (
        query.select_from(PolicyGroup)
        .join(
            BaseGroup,
            (BaseGroup.run_id == PolicyGroup.run_id)
            & (BaseGroup.purpose == PolicyGroup.purpose)
            & (BaseGroup.step == PolicyGroup.step)
            & (BaseGroup.index == PolicyGroup.index)
            & (BaseGroup.policy == choice.base),
        )
        .join(PolicySample, PolicySample.group_id == PolicyGroup.id)
        .join(
            BaseSample,
            (BaseSample.group_id == BaseGroup.id)
            & (BaseSample.index == PolicySample.index)
            & (BaseSample.seed == PolicySample.seed),
        )
        .where(PolicyGroup.run_id == run_id, PolicyGroup.purpose == _PURPOSE, PolicyGroup.policy == choice.policy)
    )
