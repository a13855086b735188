"""Makes pairs: two pictures of one prompt, of policies, steps, runs, or of one group. Knows no rater and no vote."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import GroupRow, RunRow
from backend.preferences.gold import clear_gold, named_gold, without
from backend.preferences.pictures import EVALUATE, PROBE, TRAIN, Couple, Picture, differs, newest_of, pictures_of
from backend.preferences.sizes import check_sizes
from backend.runs import repository as runs
from backend.schemas.base import FieldProblem
from backend.schemas.pair_source import PairSourceConfig, PairSourceKind
from backend.schemas.preference import LabelTaskCreate, VoteOutcome

# Couples of groups that are looked at: some for each sample, and several times as many as a task may have.
MOST_COUPLES = 100_000
_CHANCE = "label pairs"


def pairs_for(session: Session, wanted: LabelTaskCreate, runs_dir: Path) -> list[dict[str, Any]]:
    """The columns of a task's pairs, gold ones among the others, in an order of chance that the source's run seeds.

    Raises:
        NotFoundError: when a run or a sample is not there.
        MalformedError: when the source has no two different pictures of one prompt, no pictures by a policy that it
            names, too few clear ones for gold, or pictures of two sizes; or when a gold pair that is named is none.
    """
    chance = random.Random(f"{_CHANCE} {wanted.source.run_id}")
    couples = [each for each in _couples(session, wanted.source, chance) if differs(each)]
    if not couples:
        problem = FieldProblem(pointer="/source", message="has no two different pictures of one prompt")
        raise MalformedError(f"{_nothing(wanted.source)}, or its pictures are equal", (problem,))
    own = named_gold(session, wanted.gold_pairs)
    others = without(couples, own)
    clear = clear_gold(others, wanted.gold)
    plain = without(others, clear)
    if not plain:
        message = f"all {len(couples)} pairs of the source would be gold: ask for fewer than {len(couples)}"
        pointer = "/gold/num_pairs" if clear else "/gold_pairs"
        raise MalformedError(message, (FieldProblem(pointer=pointer, message=message),))
    rows = [_columns(couple, None) for couple in _by_turns(plain, wanted.num_pairs, chance)]
    rows += [_columns(couple, known) for couple, known in (*clear, *own)]
    check_sizes(runs_dir, rows)
    chance.shuffle(rows)
    return rows


def _couples(session: Session, source: PairSourceConfig, chance: random.Random) -> list[Couple]:
    run = runs.get_run(session, run_id=source.run_id)
    if source.kind is PairSourceKind.EVALUATION:
        first, second = source.policies
        is_own = GroupRow.purpose == EVALUATE
        return _same_seed(
            *(
                pictures_of(session, run, is_own & (GroupRow.policy == each), lambda group: group.policy)
                for each in (first, second)
            )
        )
    if source.kind is PairSourceKind.CHECKPOINTS:
        return _of_steps(session, run, source)
    if source.kind is PairSourceKind.RUNS:
        assert source.other_run_id is not None, "the schema asks for it"
        other = runs.get_run(session, run_id=source.other_run_id)
        first, second = source.run_policies
        return _same_seed(newest_of(session, run, first, other), newest_of(session, other, second, run))
    is_train = source.kind is PairSourceKind.WITHIN_GROUP
    purposes = GroupRow.purpose == TRAIN if is_train else GroupRow.purpose != TRAIN
    if source.steps is not None:
        purposes &= GroupRow.step.between(*source.steps)
    return _of_groups(pictures_of(session, run, purposes, lambda group: f"step {group.step}"), chance)


def _of_steps(session: Session, run: RunRow, source: PairSourceConfig) -> list[Couple]:
    """Probe pictures of two steps; without steps, of the first and the last."""
    is_probe = (GroupRow.purpose == PROBE) & (GroupRow.policy != "base")
    least, most = session.execute(
        select(func.min(GroupRow.step), func.max(GroupRow.step)).where(GroupRow.run_id == run.id, is_probe)
    ).one()
    if least is None:
        return []
    first, second = source.steps or (least, most)
    return _same_seed(
        *(
            pictures_of(session, run, is_probe & (GroupRow.step == each), lambda group: f"step {group.step}")
            for each in (first, second)
        )
    )


def _same_seed(first: Iterable[Picture], second: Iterable[Picture]) -> list[Couple]:
    by_place = {(each.group.prompt, each.sample.seed): each for each in second}
    return [(each, by_place[place]) for each in first if (place := (each.group.prompt, each.sample.seed)) in by_place]


def _of_groups(pictures: Sequence[Picture], chance: random.Random) -> list[Couple]:
    """Couples within groups, such that no sample has a second one before each has its first: all, or `MOST_COUPLES`.

    Else the order is chance's, and so is which stands first.
    """
    by_group: dict[UUID, list[Picture]] = defaultdict(list)
    for each in pictures:
        by_group[each.group.id].append(each)
    for members in by_group.values():
        chance.shuffle(members)
    rounds = zip_longest(*map(_rounds, by_group.values()), fillvalue=())
    couples = (couple for turn in rounds for of_group in turn for couple in of_group)
    return [(a, b) if chance.random() < 0.5 else (b, a) for a, b in islice(couples, MOST_COUPLES)]


def _rounds(members: Sequence[Picture]) -> Iterator[list[Couple]]:
    """All couples of a group round by round, each member once a round: a tournament's circle, made as it is asked for.

    The first stays and the others go round; of an odd number one rests each round.
    """
    circle: list[Picture | None] = [*members, *([None] if len(members) % 2 else [])]
    half = len(circle) // 2
    for _ in range(len(circle) - 1):
        sides = zip(circle[:half], circle[: half - 1 : -1], strict=True)
        yield [(a, b) for a, b in sides if a is not None and b is not None]
        circle[1:] = [circle[-1], *circle[1:-1]]


def _by_turns(couples: Sequence[Couple], num_pairs: int, chance: random.Random) -> list[Couple]:
    """Couples such that every prompt has its turn before any has a second one."""
    by_prompt: dict[str, list[Couple]] = defaultdict(list)
    for couple in couples:
        by_prompt[couple[0].group.prompt].append(couple)
    queues = list(by_prompt.values())
    chance.shuffle(queues)
    turns = (couple for turn in zip_longest(*queues) for couple in turn if couple is not None)
    return [couple for couple, _ in zip(turns, range(num_pairs), strict=False)]


def _columns(couple: Couple, known: VoteOutcome | None) -> dict[str, Any]:
    first, second = couple
    return {
        "prompt": first.group.prompt,
        "task": first.group.task,
        "side_0": first.side,
        "side_1": second.side,
        "is_gold": known is not None,
        "known": known,
    }


def _nothing(source: PairSourceConfig) -> str:
    """Why a source may have given nothing, and the cure."""
    return {
        PairSourceKind.EVALUATION: f"run {source.run_id} has no evaluation pictures of both "
        f"{' and '.join(source.policies)}: take an evaluate run with a base that has stored pictures",
        PairSourceKind.CHECKPOINTS: f"run {source.run_id} has no probe pictures of two steps: train with the probe on, "
        "or name two steps that have some",
        PairSourceKind.RUNS: f"runs {source.run_id} and {source.other_run_id} share no prompt and seed outside "
        "training: sample both with the same prompts and seed",
        PairSourceKind.WITHIN_GROUP: f"run {source.run_id} has no stored training groups: take a train run that has "
        "made a step",
        PairSourceKind.SAMPLING: f"run {source.run_id} has no prompt with two pictures: sample with two seeds or more",
    }[source.kind]
