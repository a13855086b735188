"""A difference of two policies in all measures, and the same seen from the other one."""

from __future__ import annotations

import numpy as np
import pytest

from backend.figures.evaluation import Measures, difference, turned
from backend.figures.scores import Figures

TASKS = ["a", "a", "a", "b", "b"]


def measures(seed: int) -> Measures:
    chance = np.random.default_rng(seed)
    correct = (chance.random((5, 2)) < 0.5).astype(float)
    return Measures({"correct": correct, "geneval": 1 - correct, "clip": chance.normal(size=(5, 2))}, correct)


def test_a_difference_seen_from_the_other_policy_is_turned_with_its_interval() -> None:
    values = {"overall": 0.2, "win_rate": 0.8, "num_wins": 4, "num_losses": 1, "num_ties": 7, "clip": None}
    found = Figures(values, {"overall": (0.1, 0.3), "win_rate": (0.6, 1.0)})
    seen = turned(found)
    assert seen.values["overall"] == -0.2
    assert seen.intervals["overall"] == (-0.3, -0.1)
    assert seen.intervals["win_rate"] == pytest.approx((0.0, 0.4))
    assert [seen.values[f"num_{name}"] for name in ("wins", "losses", "ties")] == [1, 4, 7]
    assert seen.values["clip"] is None
    assert turned(seen).intervals["overall"] == found.intervals["overall"]


def test_values_have_the_other_sign_when_base_and_tuned_change_places() -> None:
    there = difference(TASKS, measures(1), measures(2), is_geneval=False)
    back = difference(TASKS, measures(2), measures(1), is_geneval=False)
    assert {name: back.values[name] for name in ("overall", "a", "b", "clip", "geneval")} == {
        name: -(there.values[name] or 0.0) for name in ("overall", "a", "b", "clip", "geneval")
    }
    assert back.values["num_wins"] == there.values["num_losses"]


def test_geneval_takes_the_place_of_the_verifiers_shares() -> None:
    of_verifier = difference(TASKS, measures(1), measures(2), is_geneval=False)
    of_geneval = difference(TASKS, measures(1), measures(2), is_geneval=True)
    assert of_geneval.values["overall"] == pytest.approx(-(of_verifier.values["overall"] or 0.0))
    assert "correct" in of_geneval.values
    assert "geneval" in of_verifier.values


def test_what_only_one_of_them_was_measured_by_has_no_difference() -> None:
    one, other = measures(1), measures(2)
    lacking = Measures({"correct": other.scores["correct"]}, other.ranking)
    assert "clip" not in difference(TASKS, one, lacking, is_geneval=False).values
    assert "clip" not in difference(TASKS, lacking, one, is_geneval=False).values
