"""Weights sharded over two processes: the gradient, the step and the state of one process that holds them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.worker.maskgrpo.ranks import in_processes
from tests.worker.maskgrpo.toys import PROMPTS, ToyPrompts, brightness, toy_config
from worker.maskgrpo.processes import ALONE, PeerLostError, Processes
from worker.maskgrpo.sharded import own_part
from worker.maskgrpo.trainer import TrainerState, train
from worker.maskgrpo.types import Rewards
from worker.showo.policy import ShowoPolicy
from worker.showo.sharding import forget_passes, shard
from worker.showo.tiny import tiny_policy

pytestmark = pytest.mark.slow

NUM_PROCESSES = 2
NUM_STEPS = 2
CASES: dict[str, dict[str, Any]] = {
    # Three transitions in two micro-batches: one process has a micro-batch less, and only one has a group.
    "trajectory": {
        "rollout": {"num_prompts": 1, "group_size": 3},
        "grpo": {"kl_beta": 0.1, "step_selection": "first", "num_selected_steps": 1},
        "optimizer": {"num_micro_batches": 2, "ema_decay": 0.5, "learning_rate": 1e-3, "max_gradient_norm": 0.1},
    },
    # Two shares of one and a half groups, guided, each with two passes; its KL is measured and has no weight.
    "guided": {
        "rollout": {"num_prompts": 3, "group_size": 2},
        "sampling": {"guidance_scale": 1.5},
        "optimizer": {"ema_decay": 0.5, "learning_rate": 1e-3},
    },
    # The second epoch's steps get their old terms before the first update, without gradient.
    "chosen anew": {
        "rollout": {"num_prompts": 1, "group_size": 3},
        "grpo": {"step_selection": "random", "num_selected_steps": 1, "num_epochs": 2},
        "optimizer": {"num_micro_batches": 2, "learning_rate": 1e-3},
    },
    "forward process": {
        "rollout": {"num_prompts": 1, "group_size": 3},
        "grpo": {"objective": "forward_process", "num_epochs": 2, "forward_process": {"num_remaskings": 1}},
        "optimizer": {"num_micro_batches": 2, "learning_rate": 1e-3},
    },
}


def prepared(processes: Processes, **settings: Any) -> ShowoPolicy:
    policy = tiny_policy()
    for name, value in settings.items():
        setattr(policy.showo, name, value)
    if processes.is_sharded:
        shard(policy)
    return policy


def broken(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
    """Judges nothing."""
    raise ValueError("the reward is broken")


def trained(processes: Processes, case: str, num_steps: int = NUM_STEPS, **settings: Any) -> dict[str, Any]:
    """What some steps leave behind, and what this process holds of it."""
    config, prompts = toy_config(**CASES[case]), ToyPrompts(PROMPTS)
    policy, reference = prepared(processes, **settings), prepared(processes).requires_grad_(False)
    state = TrainerState(policy, prompts, config)
    steps = train(policy, reference, brightness, prompts, config, state, processes)
    made = [next(steps) for _ in range(num_steps)]
    forget_passes(reference.showo)
    moments = [each for held in state.optimizer._adamw.state.values() for each in (held["exp_avg"], held["exp_avg_sq"])]
    return {
        "state": state.optimizer.state_dict(),
        "norms": [step.metrics["gradient_norm"] for step in made],
        "kl": [step.metrics["kl"] for step in made],
        "held": sum(own_part(each).numel() for each in policy.showo.parameters()),
        "moments held": sum(own_part(each).numel() for each in moments),
        "average held": sum(own_part(each).numel() for each in state.optimizer._average.values()),
        "reference held": sum(own_part(each).numel() for each in reference.showo.parameters()),
    }


def gone_on(processes: Processes, case: str) -> dict[str, Any]:
    """A step, whose state another run takes up for the second one."""
    config, prompts = toy_config(**CASES[case]), ToyPrompts(PROMPTS)
    policy, reference = prepared(processes), prepared(processes).requires_grad_(False)
    state = TrainerState(policy, prompts, config)
    next(train(policy, reference, brightness, prompts, config, state, processes))
    saved = processes.told(state.state_dict())
    other, prompts = prepared(processes), ToyPrompts(PROMPTS)
    state = TrainerState(other, prompts, config)
    state.load_state_dict(saved)
    next(train(other, reference, brightness, prompts, config, state, processes))
    return {"saved": saved["optimizer"], "state": state.optimizer.state_dict()}


def scenarios(told: Processes) -> dict[str, Any]:
    """All that the tests look at, in one start of the processes."""
    processes = Processes(told.rank, told.num_processes, is_sharded=True)
    found: dict[str, Any] = {case: trained(processes, case) for case in CASES}
    found["checkpointed"] = trained(processes, "trajectory", is_checkpointed=True)
    found["bfloat16"] = trained(processes, "trajectory", autocast_dtype=torch.bfloat16)
    found["gone on"] = gone_on(processes, "trajectory")
    # The last, for who fails goes at once and leaves the others to find out.
    config, prompts = toy_config(**CASES["guided"]), ToyPrompts(PROMPTS)
    policy = prepared(processes)
    judge = broken if processes.rank == 1 else brightness
    try:
        next(train(policy, None, judge, prompts, config, None, processes))
    except (ValueError, PeerLostError) as error:
        found["error"] = (type(error).__name__, str(error))
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_processes(scenarios, NUM_PROCESSES, tmp_path_factory.mktemp("sharded"))


@pytest.fixture(scope="module")
def alone() -> Iterator[dict[str, dict[str, Any]]]:
    """One process of as many threads as the two have each: another number would round, and so draw, otherwise."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {case: trained(ALONE, case) for case in CASES} | {
        "bfloat16": trained(ALONE, "trajectory", autocast_dtype=torch.bfloat16)
    }
    torch.set_num_threads(num_threads)


def is_near(several: dict[str, Tensor], one: dict[str, Tensor]) -> None:
    """Equal to a fiftieth of the rate: AdamW divides by the gradient's size, and with it rounding where it is small.

    Two processes that hold all weights each come as near, and no nearer.

    Not where a parameter has no influence: see tests/worker/jobs/test_several_processes.py.
    """
    assert several.keys() == one.keys()
    for name, value in several.items():
        matters = slice(len(value) // 2) if name.endswith("k_layernorm.bias") else slice(None)
        torch.testing.assert_close(value[matters], one[name][matters], rtol=0, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_of_half_the_weights_end_with_the_parameters_of_one(
    found: list[dict[str, Any]], alone: dict[str, dict[str, Any]], case: str
) -> None:
    first, one = found[0][case], alone[case]
    for part in ("parameters", "average"):
        is_near(first["state"][part], one["state"][part])
    assert first["norms"] == pytest.approx(one["norms"], rel=1e-5)
    assert first["kl"] == pytest.approx(one["kl"], abs=1e-5, nan_ok=True)
    start = {name: value for name, value in tiny_policy().named_parameters() if value.requires_grad}
    assert max((value - start[name]).abs().max() for name, value in first["state"]["parameters"].items()) > 1e-3


@pytest.mark.parametrize("case", CASES)
def test_moments_are_those_of_the_summed_gradient(
    found: list[dict[str, Any]], alone: dict[str, dict[str, Any]], case: str
) -> None:
    """AdamW's step forgets the gradient's size, its moments do not: of a mean instead of the sum they are half."""
    first, one = (run["state"]["moments"] for run in (found[0][case], alone[case]))
    assert first.keys() == one.keys()
    largest = max(held["exp_avg"].abs().max() for held in one.values())
    for name, held in first.items():
        torch.testing.assert_close(held["exp_avg"], one[name]["exp_avg"], rtol=0, atol=float(1e-5 * largest))
        assert held["step"] == one[name]["step"]


def test_each_process_holds_half_of_weights_moments_average_and_reference(
    found: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    whole = alone["trajectory"]
    for name in ("held", "moments held", "average held", "reference held"):
        parts = [each["trajectory"][name] for each in found]
        assert sum(parts) == whole[name]
        # A tensor of an odd number of rows has one row more in the first part.
        assert max(parts) < 0.51 * whole[name]


def test_checkpointed_layers_give_the_same_bits_and_bfloat16_what_it_gives_alone(
    found: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    first = found[0]
    for name, value in first["checkpointed"]["state"]["parameters"].items():
        torch.testing.assert_close(value, first["trajectory"]["state"]["parameters"][name], rtol=0, atol=0)
    assert first["bfloat16"]["norms"] == pytest.approx(alone["bfloat16"]["norms"], rel=0.02)
    assert all(value.dtype == torch.float32 for value in first["bfloat16"]["state"]["parameters"].values())


def test_the_state_is_whole_and_gone_on_from_gives_the_same_bits(found: list[dict[str, Any]]) -> None:
    saved, state = (found[0]["gone on"][name] for name in ("saved", "state"))
    shapes = {name: value.shape for name, value in tiny_policy().named_parameters() if value.requires_grad}
    assert {name: value.shape for name, value in saved["average"].items()} == shapes
    assert {name: held["exp_avg"].shape for name, held in saved["moments"].items()} == shapes
    for name, value in found[0]["trajectory"]["state"]["parameters"].items():
        assert torch.equal(state["parameters"][name], value)
        assert torch.equal(state["average"][name], found[0]["trajectory"]["state"]["average"][name])


def test_who_fails_goes_at_once_and_the_others_find_out(found: list[dict[str, Any]]) -> None:
    assert found[1]["error"] == ("ValueError", "the reward is broken")
    kind, words = found[0]["error"]
    assert kind == "PeerLostError"
    assert "another process of this training has gone" in words
