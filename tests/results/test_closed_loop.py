"""The closed loop's raters follow their stated taste with noise, and its report says what was found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from backend.schemas.preference import Choice, VoteOutcome
from tests.results.closed_loop import _changed
from tests.results.closed_loop_report import closed_loop_section
from tests.results.simulated_raters import SHARPNESS, TIE_BELOW, blueness, chosen, is_against_taste


def share(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "num_pairs": 80}


def test_blueness_is_the_mean_of_blue_minus_red() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2, :, 2], pixels[2:, :, 0] = 255, 51
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    assert blueness(file.getvalue()) == pytest.approx((1 - 0.2) / 2)


def test_raters_follow_the_taste_as_often_as_it_is_stated() -> None:
    rng = np.random.default_rng(1)
    found = [chosen(0.05, 0.0, rng) for _ in range(2000)]
    expected = 1 / (1 + np.exp(-SHARPNESS * 0.05))
    assert np.mean([choice is Choice.LEFT for choice in found]) == pytest.approx(expected, abs=0.03)
    assert chosen(0.1, 0.1 + TIE_BELOW / 2, rng) is Choice.TIE


def test_a_vote_for_the_less_blue_picture_is_against_the_taste() -> None:
    assert not is_against_taste(VoteOutcome.FIRST, 0.1, 0.0)
    assert is_against_taste(VoteOutcome.SECOND, 0.1, 0.0)
    assert is_against_taste(VoteOutcome.FIRST, 0.0, 0.1)
    assert not is_against_taste(VoteOutcome.TIE, 0.0, 0.1)


def test_a_recipe_keeps_what_is_not_named() -> None:
    recipe = {"seed": 7, "rollout": {"num_prompts": 18, "group_size": 8}, "rewards": [{"name": "strict"}]}
    changed = _changed(recipe, rollout={"num_prompts": 12}, rewards=[{"name": "learned"}])
    assert changed == {"seed": 7, "rollout": {"num_prompts": 12, "group_size": 8}, "rewards": [{"name": "learned"}]}


def test_the_report_tells_each_step_and_that_no_people_voted() -> None:
    result = {
        "closed_loop": {"taste": "bluer", "sharpness": 40.0, "tie_below": 0.002, "seed": 7},
        "votes": {"num_raters": 5, "num_votes": 900, "num_against_taste": 90, "num_pairs": 300, "num_prompts": 100},
        "reward_model": {name: share(0.8) for name in ("accuracy", "ceiling", "model_at_ceiling", "untuned")}
        | {"accuracy_new_raters": share(0.75), "num_heldout_raters": 2, "num_raters": 8}
        | {"calibration": {"expected_error": 0.04}, "notes": ["Few pairs.", "All votes are simulated."]},
        "training": {
            "rewards": [{"name": "learned", "weight": 1.0}],
            "num_steps": 2,
            "curve": [{"step": 1, "reward/learned": 0.0}, {"step": 2, "reward/learned": 1.0}],
        },
        "comparison": {
            "scores": {"overall": (0.3, 0.35)},
            "intervals": {"overall": [0.01, 0.09]},
            "blueness": {
                "base": 0.01,
                "tuned": 0.05,
                "difference": 0.04,
                "interval": [0.03, 0.05],
                "num_prompts": 60,
            },
        },
        "votes_again": {
            "num_votes": 300,
            "num_against_taste": 30,
            "results": {
                "win_rates": [
                    {"policy": "policy", "opponent": "base", "value": 0.9, "resampled": {"low": 0.8, "high": 0.95}}
                ]
            },
        },
        "seconds": {"pictures": 60.0, "training": 120.0},
    }
    text = closed_loop_section([{"trial": "another"}, result])
    for words in (
        "5 programs, no people",
        "900 votes on 300 pairs of 100 prompts, 90 of them against the taste by chance",
        "accuracy 0.800 [0.700, 0.900] on 80 pairs",
        "by the votes of 2 of 8 raters, whom it never learned from, 0.750 [0.650, 0.850] on 80 pairs;",
        "calibration error 0.040. Few pairs |",
        "learned 0.50 → 0.50",
        "blueness +0.0100 → +0.0500, +0.0400 [+0.0300, +0.0500]",
        "overall 0.300 → 0.350, +0.050 [+0.010, +0.090]",
        "policy preferred to base in 0.900 [0.800, 0.950]",
        "In all 3 minutes",
    ):
        assert words in text
    assert closed_loop_section([{"trial": "another"}]) == ""
    without = result | {"reward_model": result["reward_model"] | {"accuracy_new_raters": None, "num_heldout_raters": 0}}
    assert "never learned from" not in closed_loop_section([without])
