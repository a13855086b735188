"""Which pairs are gold: those that a task's owner names, and the clearest of a source. Shows nothing to anybody."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import MalformedError, NotFoundError
from backend.models import GroupRow, SampleRow
from backend.preferences.pictures import Couple, Picture, differs
from backend.schemas.base import FieldProblem
from backend.schemas.preference import GoldConfig, GoldPair, VoteOutcome

Gold = tuple[Couple, VoteOutcome]


def without(couples: Sequence[Couple], gold: Sequence[Gold]) -> list[Couple]:
    """The couples that are not gold, whichever picture stands first: shown twice, a pair would be known again."""
    are_gold = {_key(couple) for couple, _ in gold}
    return [each for each in couples if _key(each) not in are_gold]


def clear_gold(couples: Sequence[Couple], wanted: GoldConfig) -> list[Gold]:
    """The couples whose rewards differ most, and which picture has the higher one.

    Raises:
        MalformedError: when fewer are clear than are asked for.
    """
    if wanted.num_pairs == 0:
        return []
    gaps = [(_gap(couple), index) for index, couple in enumerate(couples)]
    clear = sorted((each for each in gaps if abs(each[0]) >= wanted.least_gap), key=lambda each: -abs(each[0]))
    if len(clear) < wanted.num_pairs:
        message = (
            f"{len(clear)} pairs of the source have rewards that differ by {wanted.least_gap:g} or more, and "
            f"{wanted.num_pairs} are asked for: ask for fewer, or lower gold.least_gap"
        )
        raise MalformedError(message, (FieldProblem(pointer="/gold/num_pairs", message=message),))
    return [
        (couples[index], VoteOutcome.FIRST if gap > 0 else VoteOutcome.SECOND)
        for gap, index in clear[: wanted.num_pairs]
    ]


def named_gold(session: Session, pairs: Sequence[GoldPair]) -> list[Gold]:
    """The couples that a task's owner names, each with the answer that they know.

    Raises:
        NotFoundError: when a sample is not there.
        MalformedError: when a pair has one picture twice, pictures of two prompts, or is named twice.
    """
    places: dict[frozenset[UUID], int] = {}
    found: list[Gold] = []
    for place, pair in enumerate(pairs):
        first = places.setdefault(frozenset((pair.sample_0, pair.sample_1)), place)
        if first != place:
            raise _refused(place, f"has the samples of gold pair {first}: name each pair once")
        couple = _sample(session, pair.sample_0), _sample(session, pair.sample_1)
        if couple[0].group.prompt != couple[1].group.prompt:
            raise _refused(place, f"samples {pair.sample_0} and {pair.sample_1} are of two prompts: a pair has one")
        if not differs(couple):
            raise _refused(place, f"samples {pair.sample_0} and {pair.sample_1} are one picture: name two that differ")
        found.append((couple, VoteOutcome(pair.known)))
    return found


def _gap(couple: Couple) -> float:
    first, second = (each.sample.reward for each in couple)
    return 0.0 if first is None or second is None else first - second


def _key(couple: Couple) -> frozenset[UUID]:
    return frozenset(each.sample.id for each in couple)


def _sample(session: Session, sample_id: UUID) -> Picture:
    query = select(SampleRow, GroupRow).join(GroupRow, GroupRow.id == SampleRow.group_id)
    found = session.execute(query.where(SampleRow.id == sample_id)).one_or_none()
    if found is None:
        raise NotFoundError(f"gold_pairs names sample {sample_id}, which is not there")
    return Picture(found[0], found[1], f"{found[1].policy} of gold")


def _refused(place: int, message: str) -> MalformedError:
    return MalformedError(
        f"gold pair {place}: {message}", (FieldProblem(pointer=f"/gold_pairs/{place}", message=message),)
    )
