"""How long a step is said to take, on devices of known rates."""

from __future__ import annotations

from typing import Any

import pytest

from backend.preflight.memory import memory_of
from backend.preflight.plan import plan_of
from backend.preflight.sizes import PolicySizes
from backend.preflight.time import (
    BACKWARD_KERNELS,
    FORWARD_KERNELS,
    LAUNCH_SECONDS,
    LORA_KERNELS,
    seconds_of,
)
from backend.schemas.config import TrainConfig
from backend.schemas.preflight import PreflightDevice

SIZES = PolicySizes()


def device(kind: str, rate: float) -> PreflightDevice:
    return PreflightDevice.model_validate(
        {
            "name": "a device",
            "kind": kind,
            "memory_bytes": None,
            "memory_source": "",
            "operations_per_second": rate,
            "bytes_per_second": rate,
            "rate_source": "",
        }
    )


def config_of(num_micro_batches: int, **settings: Any) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "rollout": {"num_prompts": 2, "group_size": 4},
            "sampling": {"num_unmasking_steps": 4},
            "optimizer": {"num_micro_batches": num_micro_batches},
            **settings,
        }
    )


def test_on_an_endlessly_fast_gpu_a_step_takes_the_launches_of_its_kernels() -> None:
    infinite = device("cuda", 1e30)
    plain = seconds_of(plan_of(config_of(4), SIZES), infinite)
    of_a_layer = FORWARD_KERNELS + BACKWARD_KERNELS
    assert plain.rollout == pytest.approx(5 * SIZES.num_layers * FORWARD_KERNELS * LAUNCH_SECONDS)
    assert plain.update == pytest.approx(4 * 2 * SIZES.num_layers * of_a_layer * LAUNCH_SECONDS)
    checkpointed = config_of(4, scaling={"is_gradient_checkpointed": True}, lora={"is_enabled": True})
    more = seconds_of(plan_of(checkpointed, SIZES), infinite)
    assert more.update / plain.update == pytest.approx(LORA_KERNELS * (of_a_layer + FORWARD_KERNELS) / of_a_layer)


def test_fewer_and_larger_parts_help_a_gpu_that_waits_and_not_a_slow_one() -> None:
    def ratio(rate: float) -> float:
        few, many = (seconds_of(plan_of(config_of(n), SIZES), device("cuda", rate)).update for n in (4, 32))
        return many / few

    assert ratio(1e30) == pytest.approx(8)
    assert ratio(1e12) < 1.2


def test_a_cpu_launches_nothing() -> None:
    assert seconds_of(plan_of(config_of(4), SIZES), device("cpu", 1e30)).total < 1e-6


def test_half_copies_are_held_of_trained_weights_alone() -> None:
    half = {"policy": {"precision": "bfloat16"}}
    few = {"rollout": {"num_prompts": 1, "group_size": 2}}
    all_weights = memory_of(plan_of(config_of(4, **half, **few), SIZES), "cuda").by_moment["rollout"]["activations"]
    frozen = memory_of(plan_of(config_of(4, **half, **few, lora={"is_enabled": True}), SIZES), "cuda")
    difference = all_weights - frozen.by_moment["rollout"]["activations"]
    assert difference == 2 * SIZES.num_layers * SIZES.num_layer_parameters
