"""Simulated raters take no place of people, nor people of them: each pair is asked of both kinds as often as wanted."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask
from tests.backend.preferences.test_excluding import exclude
from tests.backend.preferences.test_rating import next_pairs, vote, votes_of

STRATEGIES = ["shuffled", "most_informative"]


def vote_on_all(api: TestClient, rater: dict[str, str], choice: str = "left") -> int:
    num_votes = 0
    while pairs := next_pairs(api, rater):
        for pair in pairs:
            assert vote(api, rater, pair["pair_id"], choice).status_code == 200
            num_votes += 1
    return num_votes


def counts(api: TestClient, task: dict[str, Any]) -> tuple[int, int, int]:
    found = api.get(f"{TASKS}/{task['id']}").json()
    return found["num_votes"], found["num_simulated_votes"], found["num_votes_wanted"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("is_simulated_first", [True, False])
def test_votes_of_one_kind_leave_every_pair_open_to_the_other(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, strategy: str, *, is_simulated_first: bool
) -> None:
    task = make_task(votes_per_pair=1, strategy=strategy)
    early = make_rater(task, "early", is_simulated=is_simulated_first)
    assert vote_on_all(api, early) == 8
    assert next_pairs(api, make_rater(task, "of the same kind", is_simulated=is_simulated_first)) == []
    late = make_rater(task, "late", is_simulated=not is_simulated_first)
    told = api.get(DOOR, headers=late).json()
    assert (told["num_done"], told["num_wanted"]) == (0, 8)
    assert vote_on_all(api, late) == 8
    assert next_pairs(api, make_rater(task, "later", is_simulated=not is_simulated_first)) == []
    assert counts(api, task) == (16, 8, 8)


def test_a_pair_in_a_programs_hands_is_shown_to_people(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(votes_per_pair=1)
    assert len(next_pairs(api, make_rater(task, "program", is_simulated=True))) == 8
    assert len(next_pairs(api, make_rater(task, "Ada"))) == 8
    assert next_pairs(api, make_rater(task, "Bob")) == []


def test_what_is_informative_to_ask_people_depends_on_people_alone(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(votes_per_pair=3, strategy="most_informative", num_pairs=3)
    program, ada, bob = make_rater(task, "program", is_simulated=True), make_rater(task), make_rater(task, "Bob")
    asked = [pair["pair_id"] for pair in next_pairs(api, program)]
    for pair in asked[:2]:
        vote(api, program, pair)
    for person in (ada, bob):
        vote(api, person, asked[2])
    carol = make_rater(task, "Carol")
    # To people, what programs agree on is as new as ever; what two of them agree on is the least telling.
    assert next_pairs(api, carol)[-1]["pair_id"] == asked[2]


def test_an_excluded_programs_votes_count_in_neither_kind(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater
) -> None:
    task = make_task(votes_per_pair=1, gold={"num_pairs": 2})
    num_votes = vote_on_all(api, make_rater(task, "program", is_simulated=True))
    assert num_votes == len(votes_of(api, task)) == 8
    assert counts(api, task) == (6, 6, 6)
    exclude(api, task, "program")
    assert counts(api, task) == (0, 0, 6)
    assert vote_on_all(api, make_rater(task, "Ada")) == 8
    assert next_pairs(api, make_rater(task, "Bob")) != []  # The gold ones, which are asked of everybody.
    assert counts(api, task) == (6, 0, 6)
    exclude(api, task, "program", is_excluded=False)
    assert counts(api, task) == (12, 6, 6)
    assert vote_on_all(api, make_rater(task, "another program", is_simulated=True)) == 2
