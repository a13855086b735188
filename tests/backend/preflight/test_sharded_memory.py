"""What one process holds of a run whose weights are sharded: its part, and what it gathers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from backend.preflight.memory import memory_of
from backend.preflight.plan import plan_of
from backend.preflight.sizes import PolicySizes
from backend.schemas.config import TrainConfig
from tests.backend.preflight.test_preflight import REAL, told

OF_EIGHT = {"optimizer": {"num_micro_batches": 256, "ema_decay": 0.99}, "rollout": {"num_prompts": 8}}


def by_moment(**scaling: Any) -> Any:
    config = TrainConfig.model_validate({**OF_EIGHT, "scaling": {"num_processes": 8, **scaling}})
    return memory_of(plan_of(config, PolicySizes()), "cuda").by_moment


def test_a_process_holds_its_part_and_what_is_gathered() -> None:
    sharded, plain = by_moment(sharding="fsdp"), by_moment()
    sizes = PolicySizes()
    numbers, tokenizer = sizes.num_transformer_parameters, sizes.tokenizer.num_parameters
    backward = sharded["backward"]
    assert backward["weights"] == backward["reference"] == 4 * (math.ceil(numbers / 8) + tokenizer)
    for name in ("optimizer", "average", "gradients"):
        assert backward[name] == pytest.approx(plain["backward"][name] / 8, abs=8)
    # Embedding and head with their gradients, and layers: less than what is saved, but no small thing.
    assert 2 * 4 * 2 * sizes.vocab_size * sizes.hidden_size < backward["gathered"] < plain["backward"]["weights"]
    # Each policy is read whole before it is cut.
    assert sharded["loading"]["weights"] + sharded["loading"]["gathered"] >= 4 * (numbers + tokenizer)
    assert "gathered" not in plain["backward"]
    assert "loading" not in plain
    assert sum(backward.values()) < 0.6 * sum(plain["backward"].values())


def test_a_process_keeps_the_trajectories_of_all_groups() -> None:
    def buffers(num_processes: int) -> int:
        # The same share for each: one prompt's group.
        rollout = {"num_prompts": num_processes, "group_size": 6}
        config = TrainConfig.model_validate({"rollout": rollout, "scaling": {"num_processes": num_processes}})
        return memory_of(plan_of(config, PolicySizes()), "cuda").by_moment["backward"]["rollout buffers"]

    steps = TrainConfig().sampling.num_unmasking_steps
    # Codes or orders twice 8 bytes, three numbers of 4, two masks, for each token of each step of a picture.
    of_a_group = 6 * steps * PolicySizes().num_image_tokens * (2 * 8 + 3 * 4 + 2)
    assert buffers(16) - buffers(1) == 15 * of_a_group


def test_sharding_is_advised_to_several_processes(tmp_path: Path) -> None:
    base: dict[str, Any] = {"policy": REAL, "gpu": "RTX 4090", "rollout": {"num_prompts": 8, "group_size": 6}}
    names = [change.setting for change in told(tmp_path, **base, scaling={"num_processes": 8}).changes]
    assert "scaling.sharding" in names
    assert "lora.is_enabled" not in names
    assert "scaling.sharding" not in [change.setting for change in told(tmp_path, **base).changes]


def test_where_halves_are_still_too_much_adapters_are_named(tmp_path: Path) -> None:
    base: dict[str, Any] = {"policy": REAL, "gpu": "RTX 4090", "memory_gib": 12, "rollout": {"num_prompts": 2}}
    found = told(tmp_path, **base, scaling={"num_processes": 2, "sharding": "fsdp"})
    assert found.fits is False
    assert "or adapters (lora.is_enabled), which are trained without sharding" in found.notes[-1]
