"""The rewards' inputs that the Launch form hides: those of no use now, and never one that may be what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from backend.schemas.config import TrainConfig
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.reward import RewardConfig, RewardName, RewardNormalisation, idle_settings
from ui.forms import FormValue, fields_of, values_of
from ui.reward_slots import idle_inputs

OTHER: dict[str, Any] = {"source": "a-folder", "precision": "bfloat16", "timeout_s": 5.0, "mean": 1.0, "std": 2.0}


def shown(values: dict[str, FormValue]) -> list[str]:
    hidden = set(idle_inputs(TrainConfig, values))
    paths = [field.path for field in fields_of(TrainConfig) if field.path.startswith("rewards.")]
    return [path.removeprefix("rewards.") for path in paths if path not in hidden]


def values_with(*rewards: dict[str, Any]) -> dict[str, FormValue]:
    return values_of(TrainConfig.model_validate({"rewards": rewards}))


def test_used_slots_show_what_has_an_effect_and_the_next_one_its_choice() -> None:
    values = values_with({"name": "strict"}, {"name": "clip"}, {"name": "remote", "source": "http://host"})
    assert shown(values) == [
        *("0.name", "0.weight", "0.normalisation"),
        *("1.name", "1.weight", "1.source", "1.normalisation", "1.precision"),
        *("2.name", "2.weight", "2.source", "2.normalisation", "2.timeout_s"),
        "3.name",
    ]


def test_a_setting_that_is_refused_stays_in_sight() -> None:
    values = values_with({"name": "strict"}) | {"rewards.0.source": "left over", "rewards.0.std": 2.0}
    assert shown(values) == ["0.name", "0.weight", "0.source", "0.normalisation", "0.std", "1.name"]


def test_a_slot_that_was_emptied_between_others_is_the_next_to_be_filled() -> None:
    values = values_with({"name": "strict"}, {"name": "dense"}) | {"rewards.0.name": ""}
    assert shown(values) == ["0.name", "1.name", "1.weight", "1.normalisation"]


@pytest.mark.parametrize("name", list(RewardName))
@pytest.mark.parametrize("normalisation", list(RewardNormalisation))
def test_idle_settings_are_exactly_those_that_the_model_refuses(
    name: RewardName, normalisation: RewardNormalisation
) -> None:
    given = {"name": name, "normalisation": normalisation}
    if name is RewardName.REMOTE:
        given |= {"source": "http://host"}
    if name is RewardName.LEARNED:
        given |= {"source": "run:1"}
    refused = set()
    for setting, value in OTHER.items():
        if name is RewardName.REMOTE and setting == "source":
            continue
        try:
            RewardConfig.model_validate(given | {setting: value})
        except ValidationError:
            refused.add(setting)
    assert idle_settings(name, normalisation) == refused


def test_further_policies_show_one_unused_slots_label_and_nothing_more() -> None:
    values = values_of(EvaluateConfig.model_validate({"policies": [{"label": "a", "source": "run:1"}]}))
    hidden = set(idle_inputs(EvaluateConfig, values))
    paths = [field.path for field in fields_of(EvaluateConfig) if field.path.startswith("policies.")]
    shown_paths = [path.removeprefix("policies.") for path in paths if path not in hidden]
    assert shown_paths == ["0.label", "0.source", "1.label"]
