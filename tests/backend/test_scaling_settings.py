"""The settings of memory, precision and processes: what is unknown is refused, what does nothing is named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from backend.schemas.config import TrainConfig, run_config_adapter
from backend.schemas.effects import settings_without_effect


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"kind": "train", "lora": {"rank": 4}}, "lora.rank has no effect: LoRA is off"),
        ({"kind": "train", "lora": {"target_modules": ["fc1"]}}, "lora.target_modules has no effect"),
        ({"kind": "train", "scaling": {"timeout_minutes": 5}}, "scaling.timeout_minutes has no effect"),
        ({"kind": "train", "scaling": {"sharding": "fsdp"}}, "scaling.sharding has no effect in a single process"),
        ({"kind": "pretrain", "policy": {"precision": "bfloat16"}}, "policy.precision has no effect"),
    ],
)
def test_a_setting_that_does_nothing_is_named(config: dict[str, Any], words: str) -> None:
    (sentence,) = settings_without_effect(run_config_adapter.validate_python(config))
    assert words in sentence


@pytest.mark.parametrize(
    "config",
    [
        {"lora": {"is_enabled": True, "rank": 4, "alpha": 8, "target_modules": ["q_proj"], "export": "both"}},
        {"scaling": {"num_processes": 2, "timeout_minutes": 5, "is_gradient_checkpointed": True}},
        {"scaling": {"num_processes": 2, "sharding": "fsdp"}},
        {"policy": {"precision": "bfloat16"}},
    ],
)
def test_a_setting_that_does_something_is_not(config: dict[str, Any]) -> None:
    assert not list(settings_without_effect(TrainConfig.model_validate(config)))


@pytest.mark.parametrize("names", [["lm_head"], ["q_proj", "q_proj"], []])
def test_unknown_or_repeated_modules_of_lora_are_refused(names: list[str]) -> None:
    with pytest.raises(ValidationError, match=r"target_modules"):
        TrainConfig.model_validate({"lora": {"is_enabled": True, "target_modules": names}})


@pytest.mark.parametrize(
    ("setting", "cure"),
    [({"grpo": {"filter": {"max_tries": 2}}}, "max_tries"), ({"scaling": {"num_processes": 2}}, "num_processes")],
)
def test_a_batch_s_z_score_is_refused_where_groups_are_judged_apart(setting: dict[str, Any], cure: str) -> None:
    rewards = [{"name": "strict", "normalisation": "batch"}]
    calm = {"grpo": {"filter": {"max_tries": 0}}, "rewards": rewards, "rollout": {"num_prompts": 4}}
    assert TrainConfig.model_validate(calm).rewards[0].normalisation == "batch"
    with pytest.raises(ValueError, match=cure):
        TrainConfig.model_validate(calm | setting)


@pytest.mark.parametrize("setting", ["lora.is_enabled", "policy.is_compiled"])
def test_what_cannot_be_sharded_is_refused_with_the_cure(setting: str) -> None:
    section, name = setting.split(".")
    config = {section: {name: True}, "scaling": {"num_processes": 2}}
    assert TrainConfig.model_validate(config).scaling.sharding == "none"
    config["scaling"]["sharding"] = "fsdp"
    with pytest.raises(
        ValidationError, match=f"scaling.sharding is fsdp and {setting} is true.*set {setting} to false"
    ):
        TrainConfig.model_validate(config)
