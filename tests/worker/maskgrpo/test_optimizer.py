"""The learning rate's course, clipping, averaging, and what happens to a gradient that is no number."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from backend.schemas.algorithm import LearningRateSchedule, OptimizerConfig
from worker.maskgrpo.optimizer import PolicyOptimizer, learning_rate_at


def rates(num_steps: int, **settings: object) -> list[float]:
    config = OptimizerConfig(learning_rate=1.0, **settings)  # type: ignore[arg-type]
    return [learning_rate_at(step, config, num_steps) for step in range(num_steps)]


def test_constant_rate_after_a_linear_warm_up() -> None:
    assert rates(5, num_warmup_steps=3) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])


def test_linear_decay_spans_what_follows_the_warm_up() -> None:
    found = rates(6, num_warmup_steps=2, schedule=LearningRateSchedule.LINEAR)
    assert found == pytest.approx([0.5, 1, 1, 0.75, 0.5, 0.25])


def test_cosine_decay_ends_at_the_final_fraction_and_stays_there() -> None:
    found = rates(6, schedule=LearningRateSchedule.COSINE, decay_steps=4, final_fraction=0.2)
    by_hand = [0.2 + 0.8 * (1 + math.cos(math.pi * min(step / 4, 1))) / 2 for step in range(6)]
    assert found == pytest.approx(by_hand)
    assert found[4:] == pytest.approx([0.2, 0.2])


def optimizer_of(weights: nn.Parameter, **settings: object) -> PolicyOptimizer:
    config = OptimizerConfig(**{"learning_rate": 0.1, "weight_decay": 0.0} | settings)  # type: ignore[arg-type]
    return PolicyOptimizer({"weights": weights}, config, num_steps=10)


def test_the_norm_is_reported_unclipped_and_the_first_step_is_adamw_s() -> None:
    weights = nn.Parameter(torch.tensor([[1.0, 1.0]]))
    weights.grad = torch.tensor([[3.0, -4.0]])
    update = optimizer_of(weights).apply(0)
    assert update.gradient_norm == pytest.approx(5)
    assert update.is_applied
    torch.testing.assert_close(weights.detach(), torch.tensor([[0.9, 1.1]]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_changes_nothing(value: float) -> None:
    weights = nn.Parameter(torch.ones(1, 2))
    optimizer = optimizer_of(weights, ema_decay=0.5)
    before = optimizer.state_dict()
    weights.grad = torch.tensor([[1.0, value]])
    assert not optimizer.apply(0).is_applied
    assert torch.equal(weights.detach(), torch.ones(1, 2))
    assert str(optimizer.state_dict()) == str(before)


def test_a_gradient_of_exactly_0_moves_nothing_though_momentum_and_decay_would() -> None:
    weights = nn.Parameter(torch.ones(1, 2))
    optimizer = optimizer_of(weights, ema_decay=0.5, weight_decay=0.1)
    weights.grad = torch.ones(1, 2)
    assert optimizer.apply(0).is_applied
    before = optimizer.state_dict()
    weights.grad = torch.zeros(1, 2)
    update = optimizer.apply(1)
    assert (update.gradient_norm, update.is_applied) == (0, False)
    assert str(optimizer.state_dict()) == str(before)


def test_only_matrices_decay() -> None:
    matrix, vector, other = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1))
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.5)
    optimizer = PolicyOptimizer({"matrix": matrix, "vector": vector, "other": other}, config, num_steps=10)
    matrix.grad, vector.grad, other.grad = torch.zeros(2, 2), torch.zeros(2), torch.ones(1)
    optimizer.apply(0)
    torch.testing.assert_close(matrix.detach(), torch.full((2, 2), 0.95))
    assert vector.eq(1).all()


def test_the_average_follows_the_weights_and_is_put_in_for_a_block_only() -> None:
    weights = nn.Parameter(torch.tensor([[1.0]]))
    optimizer = optimizer_of(weights, ema_decay=0.75)
    weights.grad = torch.tensor([[1.0]])
    optimizer.apply(0)
    trained = weights.item()
    with optimizer.averaged():
        assert weights.item() == pytest.approx(0.75 * 1 + 0.25 * trained)
    assert weights.item() == trained


def test_without_averaging_the_block_changes_nothing() -> None:
    weights = nn.Parameter(torch.tensor([[1.0]]))
    with optimizer_of(weights).averaged():
        assert weights.item() == 1


def test_a_state_of_another_policy_is_refused() -> None:
    one = optimizer_of(nn.Parameter(torch.ones(1, 2)))
    other = PolicyOptimizer({"bias": nn.Parameter(torch.ones(2))}, OptimizerConfig(), num_steps=10)
    with pytest.raises(ValueError, match="resume with the policy that the run began with"):
        other.load_state_dict(one.state_dict())
