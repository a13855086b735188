"""A task's results are those of its votes as they are now; gold, skipped, undone and excluded ones do not count."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RaterRow
from tests.backend.voted_task import VotedTask


@pytest.fixture
def task(sessions: sessionmaker[Session], tmp_path: Path) -> VotedTask:
    return VotedTask(sessions, tmp_path / "runs")


def results(api: TestClient, task: VotedTask, *exclude: UUID) -> dict[str, Any]:
    answer = api.get(f"/api/v1/label-tasks/{task.id}/results", params={"exclude_rater": list(map(str, exclude))})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_task_without_votes_has_no_figures_and_no_made_up_ones(api: TestClient, task: VotedTask) -> None:
    task.pair("a red circle")
    task.rater()
    found = results(api, task)
    assert found["figures"]["num_votes"] == 0
    assert found["figures"]["win_rates"] == []
    assert found["figures"]["bradley_terry"] is None
    assert found["figures"]["choice_agreement"]["value"] is None
    assert (found["all_raters"], found["last_vote_at"]) == (None, None)
    rater = found["raters"][0]
    assert (rater["num_votes"], rater["gold_accuracy"], rater["left_share"], rater["median_seconds"]) == (
        0,
        *[None] * 3,
    )


def test_gold_skipped_and_undone_votes_say_nothing_about_policies(api: TestClient, task: VotedTask) -> None:
    first, second, gold = task.pair("a"), task.pair("b"), task.pair("c", known="0")
    ada = task.rater()
    task.vote(ada, (first, "1"), (gold, "0"), (second, "skip"))
    task.vote(ada, (second, "0"), undone_at=datetime.now(UTC))
    found = results(api, task)
    assert found["figures"]["num_votes"] == found["figures"]["num_pairs"] == 1
    [rate] = found["figures"]["win_rates"]
    assert (rate["policy"], rate["opponent"], rate["num_wins"], rate["value"]) == ("policy", "base", 1, 1.0)
    assert (found["num_undone"], found["num_skipped"]) == (1, 1)
    [rater] = found["raters"]
    assert (rater["num_votes"], rater["num_skipped"]) == (2, 1)
    assert (rater["num_gold"], rater["gold_accuracy"]) == (1, 1.0)


def test_a_gold_pair_stored_with_a_skip_as_its_answer_checks_nobody_and_breaks_nothing(
    api: TestClient, task: VotedTask
) -> None:
    pair, right, strange = task.pair("a"), task.pair("b", known="0"), task.pair("c", known="skip")
    task.vote(task.rater(), (pair, "1"), (right, "0"), (strange, "1"))
    found = results(api, task)
    assert (found["figures"]["num_votes"], found["figures"]["num_pairs"]) == (1, 1)
    [rater] = found["raters"]
    assert (rater["num_votes"], rater["num_gold"], rater["num_gold_right"]) == (3, 1, 1)


def test_sides_are_told_by_where_a_picture_stood(api: TestClient, task: VotedTask) -> None:
    pairs = [task.pair(f"prompt {number}") for number in range(6)]
    ada = task.rater()
    task.vote(ada, *((pair, "0") for pair in pairs[:3]))
    task.vote(ada, *((pair, "1") for pair in pairs[3:]), is_swapped=True)
    [rater] = results(api, task)["raters"]
    assert (rater["num_left"], rater["num_sided"], rater["left_share"]) == (6, 6, 1.0)
    assert rater["side_p_value"] == pytest.approx(2 / 64)


def test_excluding_a_rater_shows_what_changes(api: TestClient, task: VotedTask) -> None:
    pairs = [task.pair(f"prompt {number}") for number in range(4)]
    ada, bob = task.rater("Ada"), task.rater("Bob")
    task.vote(ada, *((pair, "1") for pair in pairs))
    task.vote(bob, *((pair, "0") for pair in pairs))
    both, without = results(api, task), results(api, task, bob)
    assert both["figures"]["win_rates"][0]["value"] == 0.5
    assert both["all_raters"] is None
    assert without["figures"]["win_rates"][0]["value"] == 1.0
    assert without["all_raters"] == both["figures"]
    assert {each["label"]: each["is_excluded"] for each in without["raters"]} == {"Ada": False, "Bob": True}
    assert both["figures"]["preference_agreement"]["value"] < 0


def test_a_rater_that_is_excluded_for_good_needs_no_naming(
    api: TestClient, task: VotedTask, sessions: sessionmaker[Session]
) -> None:
    pair, ada, bob = task.pair("a"), task.rater("Ada"), task.rater("Bob")
    task.vote(ada, (pair, "1"))
    task.vote(bob, (pair, "0"))
    assert results(api, task)["figures"]["num_votes"] == 2
    with transaction(sessions) as session:
        session.execute(update(RaterRow).where(RaterRow.id == bob).values(is_excluded=True))
    found = results(api, task)
    assert (found["figures"]["num_votes"], found["all_raters"]["num_votes"]) == (1, 2)


def test_every_new_vote_is_in_the_next_answer(api: TestClient, task: VotedTask) -> None:
    pairs = [task.pair(f"prompt {number}") for number in range(3)]
    ada = task.rater()
    for number, pair in enumerate(pairs):
        task.vote(ada, (pair, "1"))
        assert results(api, task)["figures"]["num_votes"] == number + 1
        assert results(api, task) == results(api, task)


def test_programs_are_told_from_people(api: TestClient, task: VotedTask) -> None:
    pair = task.pair("a")
    task.vote(task.rater("Ada"), (pair, "1"))
    task.vote(task.rater("Taste of red", is_simulated=True), (pair, "1"))
    found = results(api, task)
    assert (found["figures"]["num_raters"], found["figures"]["num_simulated_raters"]) == (2, 1)
    assert {each["label"]: each["is_simulated"] for each in found["raters"]} == {"Ada": False, "Taste of red": True}


def test_three_policies_are_ordered_by_strength_with_their_names(api: TestClient, task: VotedTask) -> None:
    ada = task.rater()
    for number in range(30):
        low = task.pair(f"prompt {number}", policies=("step 0", "step 10"))
        high = task.pair(f"prompt {number}", policies=("step 10", "step 20"))
        task.vote(ada, (low, "1" if number % 5 else "0"), (high, "1" if number % 3 else "tie"))
    strengths = results(api, task)["figures"]["bradley_terry"]["strengths"]
    assert [each["policy"] for each in strengths] == ["step 20", "step 10", "step 0"]
    assert sum(each["value"] for each in strengths) == pytest.approx(0, abs=1e-9)
    assert all(each["interval"]["low"] < each["value"] < each["interval"]["high"] for each in strengths)


def test_where_every_vote_is_a_tie_or_both_bad_the_results_say_that_none_is_decided(
    api: TestClient, task: VotedTask
) -> None:
    ada = task.rater()
    task.vote(ada, *((task.pair(f"prompt {number}"), "tie" if number % 2 else "both_bad") for number in range(8)))
    assert results(api, task)["figures"]["bradley_terry"]["num_decided"] == 0
    task.vote(ada, (task.pair("one more"), "1"))
    assert results(api, task)["figures"]["bradley_terry"]["num_decided"] == 1


def test_an_unknown_task_and_a_stranger_are_refused(api: TestClient, task: VotedTask) -> None:
    assert api.get(f"/api/v1/label-tasks/{uuid4()}/results").status_code == 404
    answer = api.get(f"/api/v1/label-tasks/{task.id}/results", params={"exclude_rater": str(uuid4())})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/exclude_rater"
