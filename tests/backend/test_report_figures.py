"""The report's forest plot: colours say better and worse of each figure, and figures of one unit share an axis."""

from __future__ import annotations

import re

import pytest

from backend.evaluations.report.figures import forest
from backend.schemas.event import ScoreMeasured
from backend.schemas.figure import kind_of


def difference(**ends: tuple[float, float]) -> ScoreMeasured:
    return ScoreMeasured(
        step=1,
        policy="difference",
        values={name: sum(each) / 2 for name, each in ends.items()},
        intervals=ends,
        num_prompts=6,
        samples_per_prompt=2,
    )


def lines(found: str) -> dict[str, tuple[str, float]]:
    """By figure, the class of its interval's line and the line's length."""
    pattern = r'<line class="(\w+)" x1="([\d.]+)" x2="([\d.]+)"[^>]*><title>([^:]+):'
    return {name: (kind, float(right) - float(left)) for kind, left, right, name in re.findall(pattern, found)}


@pytest.mark.parametrize("name", ["fid", "fid_infinity", "kid", "near_duplicates"])
def test_a_rise_of_what_is_better_when_lower_is_a_loss(name: str) -> None:
    words = name.replace("_", " ")
    assert lines(forest(difference(**{name: (20, 50)})))[words][0] == "down"
    assert lines(forest(difference(**{name: (-50, -20)})))[words][0] == "up"
    assert lines(forest(difference(**{name: (-5, 20)})))[words][0] == "even"


def test_a_rise_of_a_share_a_reward_or_the_diversity_is_a_gain() -> None:
    found = lines(forest(difference(overall=(0.1, 0.2), clip=(0.01, 0.02), diversity=(0.1, 0.2))))
    assert {kind for kind, _ in found.values()} == {"up"}


def test_figures_of_other_units_do_not_flatten_each_other() -> None:
    found = lines(forest(difference(overall=(-0.1, 0.1), counting=(-0.2, 0.2), fid=(20, 50), fid_infinity=(10, 40))))
    # On one axis to 50 the share's line would be two pixels long.
    assert found["overall"][1] > 100
    assert found["counting"][1] == pytest.approx(2 * found["overall"][1], abs=0.2)
    assert found["fid"][1] == pytest.approx(found["fid infinity"][1], abs=0.2)


def test_tasks_are_shares_and_each_reward_has_a_unit_of_its_own() -> None:
    units = {name: kind_of(name).unit for name in ("overall", "counting", "dense", "near_duplicates", "hps", "clip")}
    assert units == {
        "overall": "share",
        "counting": "share",
        "dense": "share",
        "near_duplicates": "share",
        "hps": "hps",
        "clip": "clip",
    }


def test_a_difference_without_an_interval_is_neither_gain_nor_loss() -> None:
    found = forest(difference(overall=(0.1, 0.2)).model_copy(update={"intervals": {}}))
    assert found.count('class="even"') == 2
    assert "overall: +0.15</title>" in found
