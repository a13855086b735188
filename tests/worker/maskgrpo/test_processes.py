"""Several processes make the step of one: the same groups, filter, gradient and parameters in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.worker.maskgrpo.ranks import in_processes
from tests.worker.maskgrpo.toys import ToyPolicy, ToyPrompts, brightness, toy_config
from worker.maskgrpo.processes import ALONE, PeerFailedError, Processes
from worker.maskgrpo.trainer import TrainerState, train
from worker.maskgrpo.types import Rewards

pytestmark = pytest.mark.slow

NUM_PROCESSES = 2
PROMPTS = ("a red circle", "two stars", "a blue square", "a green ring", "three dots")


def config_of(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "rollout": {"num_prompts": 5, "group_size": 4},
        "grpo": {"num_epochs": 2, "kl_beta": 0.1, "filter": {"max_tries": 3, "percentile": 40, "history_size": 8}},
        "optimizer": {"num_micro_batches": 3, "ema_decay": 0.5},
    }
    return toy_config(**settings | changes)


def coarse(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
    """Rewards whole sums of high codes: some groups have no spread, so that the filter has something to do."""
    rewards = brightness(pictures, prompts)
    return Rewards((rewards.total * 3).round(), rewards.breakdown)


def trained(processes: Processes, config: Any, num_steps: int = 3) -> dict[str, Any]:
    """What a run of a float64 toy leaves behind, in plain containers."""
    policy, prompts = ToyPolicy(dtype=torch.float64), ToyPrompts(PROMPTS)
    state = TrainerState(policy, prompts, config)
    steps = train(policy, ToyPolicy(dtype=torch.float64), coarse, prompts, config, state, processes)
    made = [next(steps) for _ in range(num_steps)]
    return {
        "state": state.state_dict(),
        "gradient_norms": [step.metrics["gradient_norm"] for step in made],
        "metrics": [
            {name: value for name, value in step.metrics.items() if not name.startswith(("seconds", "throughput"))}
            for step in made
        ],
        "credit": [step.credit for step in made],
        "groups": [
            [(group.prompt, group.seeds, group.num_tries, group.is_kept, group.reason) for group in step.groups]
            for step in made
        ],
        "pictures": [[group.pictures for group in step.groups] for step in made],
    }


def scenarios(processes: Processes) -> dict[str, Any]:
    """All that the tests look at, in one start of the processes."""
    few = config_of(
        rollout={"num_prompts": 1, "group_size": 2}, grpo={"step_selection": "first", "num_selected_steps": 1}
    )
    forward = config_of(grpo={"objective": "forward_process", "num_epochs": 2})
    weights = nn.Parameter(torch.full((2,), float(processes.rank)))
    weights.grad = torch.tensor([1.0, 2.0]) * (processes.rank + 1)
    untouched, only_here = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    if processes.rank == 1:
        only_here.grad = torch.ones(1)
    processes.sum_gradients([weights, untouched, only_here])
    found: dict[str, Any] = {
        "whole": trained(processes, config_of()),
        "fewer rollouts than processes": trained(processes, few),
        "forward process": trained(processes, forward),
        "sums": (weights.grad, untouched.grad, only_here.grad),
        "told": processes.told(f"word of {processes.rank}"),
        "gathered": processes.gathered([processes.rank, "x"]),
        "errors": [],
    }
    for failure in (ValueError("its reward is NaN"), MemoryError("no room")):
        try:
            with processes.together():
                if processes.rank == 1:
                    raise failure
        except (ValueError, MemoryError) as error:
            found["errors"].append((type(error).__name__, str(error)))
    try:
        processes.check_agreement([weights], 7)
    except ValueError as error:
        found["disagreement"] = str(error)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_processes(scenarios, NUM_PROCESSES, tmp_path_factory.mktemp("processes"))


def parameters(run: dict[str, Any]) -> Tensor:
    state = run["state"]["optimizer"]
    return torch.cat([value.flatten() for part in ("parameters", "average") for value in state[part].values()])


def test_two_processes_end_with_the_parameters_of_one(found: list[dict[str, Any]]) -> None:
    alone = trained(ALONE, config_of())
    for rank in range(NUM_PROCESSES):
        # The sums have another order, so the last bits of float64 differ, and nothing else.
        difference = (parameters(found[rank]["whole"]) - parameters(alone)).abs().max()
        assert difference < 1e-12
    moved = (parameters(alone) - parameters(trained(ALONE, config_of(), num_steps=0))).abs().max()
    assert moved > 1e-3


def test_the_processes_have_the_same_bits(found: list[dict[str, Any]]) -> None:
    first, second = (each["whole"] for each in found)
    assert torch.equal(parameters(first), parameters(second))
    assert first["gradient_norms"] == second["gradient_norms"]
    moments = [run["state"]["optimizer"]["moments"] for run in (first, second)]
    assert all(
        torch.equal(value, moments[1][name][key]) for name, held in moments[0].items() for key, value in held.items()
    )


def test_groups_filter_and_its_history_are_those_of_one_process_everywhere(found: list[dict[str, Any]]) -> None:
    alone = trained(ALONE, config_of())
    assert any(group[2] > 1 for step in alone["groups"] for group in step), "no group was sampled again"
    for rank in range(NUM_PROCESSES):
        run = found[rank]["whole"]
        assert run["groups"] == alone["groups"]
        assert run["state"]["sample_filter"] == alone["state"]["sample_filter"]
        assert run["state"]["prompt_source"] == alone["state"]["prompt_source"]
        for own, other in zip(run["pictures"], alone["pictures"], strict=True):
            assert all(torch.equal(one, another) for one, another in zip(own, other, strict=True))


def test_metrics_and_credit_are_those_of_one_process(found: list[dict[str, Any]]) -> None:
    alone = trained(ALONE, config_of())
    for own, other in zip(found[0]["whole"]["metrics"], alone["metrics"], strict=True):
        assert own == pytest.approx(other, abs=1e-9, nan_ok=True)
    for own, other in zip(found[0]["whole"]["credit"], alone["credit"], strict=True):
        for name, values in own.items():
            assert values == pytest.approx(other[name], abs=1e-9, nan_ok=True)


def test_a_process_without_work_changes_nothing(found: list[dict[str, Any]]) -> None:
    few = config_of(
        rollout={"num_prompts": 1, "group_size": 2}, grpo={"step_selection": "first", "num_selected_steps": 1}
    )
    alone = trained(ALONE, few)
    for each in found:
        run = each["fewer rollouts than processes"]
        assert run["groups"] == alone["groups"]
        torch.testing.assert_close(parameters(run), parameters(alone), rtol=0, atol=1e-12)


def test_the_forward_process_loss_is_shared_as_well(found: list[dict[str, Any]]) -> None:
    alone = trained(ALONE, config_of(grpo={"objective": "forward_process", "num_epochs": 2}))
    for each in found:
        torch.testing.assert_close(parameters(each["forward process"]), parameters(alone), rtol=0, atol=1e-12)


def test_gradients_are_summed_and_who_has_none_anywhere_keeps_none(found: list[dict[str, Any]]) -> None:
    for each in found:
        summed, untouched, only_in_one = each["sums"]
        assert summed.tolist() == [3.0, 6.0]
        assert untouched is None
        assert only_in_one.tolist() == [1.0]


def test_the_first_process_decides_and_gathering_keeps_the_order(found: list[dict[str, Any]]) -> None:
    assert [each["told"] for each in found] == ["word of 0", "word of 0"]
    assert [each["gathered"] for each in found] == [[0, "x", 1, "x"]] * 2


def test_what_fails_in_one_process_ends_the_block_in_all_with_its_words(found: list[dict[str, Any]]) -> None:
    assert found[1]["errors"] == [("ValueError", "its reward is NaN"), ("MemoryError", "no room")]
    assert found[0]["errors"] == [
        (PeerFailedError.__name__, "process 1 of 2: its reward is NaN"),
        ("MemoryError", "process 1 of 2: no room"),
    ]


def test_processes_whose_parameters_differ_are_stopped(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert "after step 7 the parameters of process 1 differ from those of process 0" in each["disagreement"]


@pytest.mark.parametrize(("num_items", "shares"), [(5, [[0, 1], [2, 3], [4]]), (2, [[0], [1], []]), (0, [[], [], []])])
def test_shares_are_in_order_and_even_to_within_one(num_items: int, shares: list[list[int]]) -> None:
    assert [list(Processes(rank, 3).share(num_items)) for rank in range(3)] == shares


@pytest.mark.parametrize(
    ("num_items", "num_parts", "idle"), [(5, 2, [0, 0, 1]), (2, 4, [0, 0, 1]), (7, 2, [0, 0, 0]), (1, 1, [0, 1, 1])]
)
def test_where_weights_are_sharded_all_make_as_many_passes(num_items: int, num_parts: int, idle: list[int]) -> None:
    sharded = [Processes(rank, 3, is_sharded=True) for rank in range(3)]
    assert [each.num_idle(num_items, num_parts) for each in sharded] == idle
    assert [Processes(rank, 3).num_idle(num_items, num_parts) for rank in range(3)] == [0, 0, 0]


def test_alone_nothing_is_exchanged() -> None:
    weights = nn.Parameter(torch.ones(1))
    ALONE.sum_gradients([weights])
    assert weights.grad is None
    assert ALONE.told(3) == 3
    assert ALONE.gathered([1]) == [1]
    with pytest.raises(KeyError), ALONE.together():
        raise KeyError
