"""What to change where memory runs out: in order, and only what is left to change."""

from __future__ import annotations

from typing import Any

import pytest

from backend.schemas.config import TrainConfig, run_config_adapter
from backend.schemas.memory_advice import memory_advice, out_of_memory_sentence


def test_training_gets_the_whole_list_in_order() -> None:
    assert memory_advice(TrainConfig()) == (
        "raise optimizer.num_micro_batches from 1 to 2",
        "turn scaling.is_gradient_checkpointed on",
        "turn lora.is_enabled on",
        "set policy.precision to bfloat16",
        "lower rollout.num_prompts from 16 to 8",
    )


def test_what_is_set_already_is_left_out_and_at_last_nothing_is_left() -> None:
    smallest = TrainConfig.model_validate(
        {
            "optimizer": {"num_micro_batches": 2},
            "rollout": {"num_prompts": 1, "group_size": 2},
            "scaling": {"is_gradient_checkpointed": True},
            "lora": {"is_enabled": True},
            "policy": {"precision": "bfloat16"},
        }
    )
    assert memory_advice(smallest) == ()
    assert "take a machine with more memory" in out_of_memory_sentence(smallest, "no room")


def test_several_processes_may_share_the_weights_out_but_not_those_beside_an_adapter() -> None:
    several = {"num_processes": 2}
    assert "set scaling.sharding to fsdp" in memory_advice(TrainConfig.model_validate({"scaling": several}))
    for other in ({"lora": {"is_enabled": True}}, {"policy": {"is_compiled": True}}):
        advice = memory_advice(TrainConfig.model_validate({"scaling": several, **other}))
        assert "set scaling.sharding to fsdp" not in advice
    advice = memory_advice(TrainConfig.model_validate({"scaling": several | {"sharding": "fsdp"}}))
    assert not [each for each in advice if "lora" in each or "sharding" in each]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"kind": "evaluate"}, "lower batch_size from 128 to 64"),
        ({"kind": "sample"}, "lower samples_per_prompt from 4 to 2"),
        ({"kind": "pretrain"}, "lower transformer.batch_size from"),
    ],
)
def test_other_kinds_get_their_own(config: dict[str, Any], words: str) -> None:
    sentence = out_of_memory_sentence(run_config_adapter.validate_python(config), "you tried to allocate 9 GB")
    assert words in sentence
    assert sentence.startswith("the job ran out of memory (you tried to allocate 9 GB). In this order: ")
