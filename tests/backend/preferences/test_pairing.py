"""Pairs of groups: every couple once, each sample's turn before its second, and few looked at of a large run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from backend.models import GroupRow, SampleRow
from backend.preferences import pairing, pictures
from backend.preferences.pictures import Couple, Picture
from backend.schemas.sample import GroupRecord
from tests.backend.preferences.conftest import TASKS
from tests.backend.preferences.test_label_tasks import Sessions, pairs_of

Make, MakeGroup = Callable[..., Any], Callable[..., GroupRecord]


def group_of(num_samples: int) -> list[Picture]:
    group = GroupRow(id=uuid4(), prompt="a red circle", step=1)
    return [Picture(SampleRow(id=uuid4(), index=index), group, "step 1") for index in range(num_samples)]


def ids_of(couples: list[Couple]) -> list[frozenset[UUID]]:
    return [frozenset(each.sample.id for each in couple) for couple in couples]


@pytest.mark.parametrize("num_samples", [0, 1, 2, 3, 4, 7, 8])
def test_a_group_gives_every_couple_once(num_samples: int) -> None:
    found = ids_of(pairing._of_groups(group_of(num_samples), Random(0)))
    assert len(found) == len(set(found)) == num_samples * (num_samples - 1) // 2
    assert all(len(couple) == 2 for couple in found)


def test_no_sample_has_a_second_couple_before_each_has_its_first() -> None:
    couples = ids_of(pairing._of_groups([*group_of(6), *group_of(10)], Random(0)))
    turns = Counter(each for couple in couples[:8] for each in couple)
    assert (len(turns), set(turns.values())) == (16, {1})


def test_of_large_groups_only_so_many_couples_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "MOST_COUPLES", 5_000)
    couples = ids_of(pairing._of_groups([*group_of(1_000), *group_of(1_000)], Random(0)))
    turns = Counter(each for couple in couples for each in couple)
    assert (len(couples), len(set(couples)), len(turns)) == (5_000, 5_000, 2_000)
    assert set(turns.values()) == {5}, "each of 2000 samples is in 5 of 5000 couples"


def test_of_a_long_run_the_newest_groups_are_asked_about(
    api: TestClient,
    make_run: Make,
    make_group: MakeGroup,
    add: Make,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "MOST_SAMPLES", 4)
    run_id = make_run().id
    add(run_id, *(make_group(step=step) for step in range(1, 6)))
    source = {"kind": "within_group", "run_id": str(run_id)}
    pairs = pairs_of(sessions, api.post(TASKS, json={"name": "Long", "source": source}).json())
    assert {pair.side_0["step"] for pair in pairs} == {4, 5}


def test_two_steps_with_more_pictures_than_are_looked_at_still_make_pairs(
    api: TestClient, make_run: Make, make_group: MakeGroup, add: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_SAMPLES", 2)
    run_id = make_run().id
    add(run_id, *(make_group(step=step, policy="policy") for step in (5, 10)), purpose="probe")
    source = {"kind": "checkpoints", "run_id": str(run_id)}
    assert api.post(TASKS, json={"name": "Steps", "source": source}).json()["num_pairs"] == 2
