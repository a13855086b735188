"""Reward hacking is told once when it shows, by the run's first steps against its last ones, and survives a resume."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from backend.schemas.config import TrainConfig
from tests.worker.maskgrpo.toys import PROMPTS
from worker.maskgrpo.monitors import Monitors, monitored_metrics
from worker.maskgrpo.types import Group, Rewards, Trajectory

WINDOW = 4
RISING = (0.1, 0.12, 0.11, 0.1, 0.8, 0.82, 0.81, 0.8)
FALLING = tuple(1 - value for value in RISING)
FLAT = (0.5, 0.52, 0.51, 0.5) * 2


def monitors(**alarms: Any) -> Monitors:
    rewards = [{"name": "dense"}, {"name": "strict", "weight": 0}]
    return Monitors(TrainConfig.model_validate({"rewards": rewards, "alarms": {"window": WINDOW} | alarms}))


def codes_raised(watching: Monitors, **series: tuple[float, ...]) -> list[str]:
    names = {name: name.replace("__", "/") for name in series}
    steps = zip(*series.values(), strict=True)
    return [alarm.code for values in steps for alarm in watching.watch(dict(zip(names.values(), values, strict=True)))]


@pytest.mark.parametrize(
    ("reward", "heldout", "expected"),
    [
        (RISING, FALLING, ["reward_divergence"]),
        (RISING, FLAT, []),
        (RISING, RISING, []),
        (FLAT, FALLING, []),
        (FALLING, FALLING, []),
    ],
)
def test_a_reward_that_rises_while_an_unweighted_one_falls_is_told_once(
    reward: tuple[float, ...], heldout: tuple[float, ...], expected: list[str]
) -> None:
    assert codes_raised(monitors(), reward__mean=reward, reward__strict=heldout) == expected


def test_nothing_is_said_before_both_windows_are_full() -> None:
    assert codes_raised(monitors(), reward__mean=RISING[:7], reward__strict=FALLING[:7]) == []


def test_the_words_name_the_reward_its_figures_and_the_cure() -> None:
    watching = monitors()
    alarms = [
        alarm
        for up, down in zip(RISING, FALLING, strict=True)
        for alarm in watching.watch({"reward/mean": up, "reward/strict": down})
    ]
    assert "rose from 0.107 to 0.807, while strict, which has no weight, fell from 0.893 to 0.192" in alarms[0].message
    assert "ask people" in alarms[0].cure


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("diversity", (0.8,) * 4 + (0.3,) * 4, "diversity_collapse"),
        ("diversity", (0.8,) * 4 + (0.41,) * 4, None),
        ("near_duplicates", (0.1,) * 4 + (0.6,) * 4, "near_duplicates"),
        ("near_duplicates", (0.7,) * 8, None),
        ("kl", (0.0,) * 4 + (3.0,) * 4, "far_from_reference"),
        ("kl", (math.nan,) * 8, None),
        ("reward_share/dense", (0.95,) * 8, "dominant_reward"),
        ("reward_share/dense", (0.85,) * 8, None),
    ],
)
def test_each_bound_has_its_alarm(name: str, values: tuple[float, ...], code: str | None) -> None:
    watching = monitors()
    raised = [alarm.code for value in values for alarm in watching.watch({name: value})]
    assert raised == ([] if code is None else [code])


def test_an_alarm_is_raised_again_only_after_its_bound_was_kept_meanwhile() -> None:
    low, high = (0.3,) * 4, (0.8,) * 4
    raised = codes_raised(monitors(), diversity=(*high, *low, *low, *high, *low))
    assert raised == ["diversity_collapse", "diversity_collapse"]


def test_a_probe_below_the_base_is_told_where_the_reward_has_risen() -> None:
    watching = monitors()
    assert watching.hear_probe(-0.2, (-0.3, -0.1)) == []
    codes_raised(watching, reward__mean=RISING)
    assert watching.hear_probe(-0.05, (-0.15, 0.05)) == []
    [alarm] = watching.hear_probe(-0.2, (-0.3, -0.1))
    assert (alarm.code, "0.2 below the base's" in alarm.message) == ("heldout_regression", True)
    watching.watch({"reward/mean": 0.8})
    assert watching.hear_probe(-0.2, (-0.3, -0.1)) == []


def test_a_resumed_run_goes_on_watching_where_it_stopped() -> None:
    whole, first, second = monitors(), monitors(), monitors()
    steps: list[Mapping[str, float]] = [
        {"reward/mean": up, "reward/strict": down} for up, down in zip(RISING, FALLING, strict=True)
    ]
    expected = [whole.watch(step) for step in steps]
    made = [first.watch(step) for step in steps[:6]]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert made + [second.watch(step) for step in steps[6:]] == expected


def group(codes: list[list[int]], **parts: list[float]) -> Group:
    rewards = {name: torch.tensor(values) for name, values in parts.items()}
    total = 2 * rewards["dense"] + rewards["correct"] if "correct" in rewards else rewards["dense"]
    number = len(codes)
    nothing = torch.zeros(1, number, len(codes[0]))
    trajectory = Trajectory(
        codes=torch.tensor(codes),
        unmasked_at=torch.zeros(number, len(codes[0]), dtype=torch.int64),
        drawn=torch.tensor(codes)[None],
        confidence=nothing,
        entropy=nothing,
        log_prob=torch.zeros(1, number),
        token_log_prob=nothing,
        order=torch.zeros(number, len(codes[0]), dtype=torch.int64),
        temperature=torch.zeros(1),
    )
    return Group(
        prompt=PROMPTS[0],
        seeds=tuple(range(number)),
        trajectory=trajectory,
        pictures=torch.zeros(number, 3, 2, 2),
        rewards=Rewards(total, rewards),
        advantages=torch.zeros(number),
        is_kept=True,
        reason="",
        num_tries=1,
    )


def test_near_duplicates_are_pairs_that_agree_nearly_everywhere() -> None:
    same, other = list(range(20)), list(range(20, 40))
    nearly = [99, *same[1:]]
    config = TrainConfig.model_validate({"rewards": [{"name": "dense"}]})
    found = monitored_metrics([group([same, nearly, other], dense=[0.0, 1.0, 0.5])], config.rewards)
    assert found == {"near_duplicates": pytest.approx(1 / 3)}


def test_the_shares_of_the_spread_are_covariances_with_the_sum_and_add_up_to_one() -> None:
    config = TrainConfig.model_validate({"rewards": [{"name": "dense", "weight": 2}, {"name": "correct"}]})
    made = group([[0], [1], [2], [3]], dense=[0.0, 1.0, 0.0, 1.0], correct=[0.0, 0.0, 1.0, 1.0])
    found = monitored_metrics([made], config.rewards)
    # Variances 4 * 1/4 and 1 * 1/4, uncorrelated: 4/5 and 1/5.
    assert found["reward_share/dense"] == pytest.approx(0.8)
    assert found["reward_share/correct"] == pytest.approx(0.2)
