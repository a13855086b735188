"""The noisy choice, by hand: rates, races and their extremes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from worker.maskgrpo.choice import (
    LEAST_LOG_PROBABILITY,
    log_probabilities_of_order,
    log_probability_of_set,
    log_probability_of_set_over_draws,
)

# Rates 1, 3, 4 and 2 of four masked positions, and one that is fixed, whose number must not be read.
LOG_RATES = torch.tensor([[1.0, 3.0, 4.0, 2.0, 99.0]], dtype=torch.float64).log()
IS_MASKED = torch.tensor([[True, True, True, True, False]])


def kept(*positions: int) -> Tensor:
    return torch.zeros(1, 5, dtype=torch.bool).index_fill(1, torch.tensor(positions), True)


def test_the_order_is_plackett_luce_by_hand() -> None:
    # Position 2 first, 4 of 10; then position 0, 1 of the 6 that are left.
    order = torch.tensor([[1, 7, 0, 7, 7]])
    terms = log_probabilities_of_order(LOG_RATES, IS_MASKED, kept(0, 2), order)
    expected = torch.tensor([[math.log(1 / 6), 0.0, math.log(4 / 10), 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(terms, expected)


def test_the_set_is_the_sum_over_its_orders_by_hand() -> None:
    # 2 then 0, or 0 then 2: 4/10 * 1/6 + 1/10 * 4/9.
    found = log_probability_of_set(LOG_RATES, IS_MASKED, kept(0, 2))
    assert found.exp().item() == pytest.approx(4 / 60 + 4 / 90, rel=1e-7)


def test_to_keep_everything_is_certain() -> None:
    assert log_probability_of_set(LOG_RATES, IS_MASKED, kept(0, 1, 2, 3)).item() == 0
    none = torch.zeros(0, 3, dtype=torch.float64)
    rows = torch.zeros(0, dtype=torch.int64)
    found = log_probability_of_set_over_draws(none, rows, LOG_RATES, kept(0, 1, 2, 3), torch.ones(1))
    assert found.item() == 0


def test_over_the_draws_of_one_remasked_position_by_hand() -> None:
    # Kept: rate 1/2. The other draws a code of probability .8 or .2 and has that as its rate, at temperature 1.
    log_probs = torch.tensor([[0.8, 0.2]], dtype=torch.float64).log()
    log_rates = torch.tensor([[0.5, 0.0]], dtype=torch.float64).log()
    is_kept = torch.tensor([[True, False]])
    found = log_probability_of_set_over_draws(log_probs, torch.tensor([1]), log_rates, is_kept, torch.ones(1))
    assert found.exp().item() == pytest.approx(0.8 * 0.5 / 1.3 + 0.2 * 0.5 / 0.7, rel=1e-5)


def test_a_choice_of_many_equal_ones_is_one_of_the_combinations() -> None:
    equal = torch.zeros(1, 300, dtype=torch.float64)
    everywhere = torch.ones(1, 300, dtype=torch.bool)
    for number in (1, 40, 299):
        found = log_probability_of_set(equal, everywhere, torch.arange(300)[None] < number)
        combinations = math.lgamma(301) - math.lgamma(number + 1) - math.lgamma(301 - number)
        assert found.item() == pytest.approx(-combinations, rel=1e-6)


@pytest.mark.parametrize("spread", [1.0, 100.0, 5000.0])
def test_absurd_rates_give_finite_values_and_gradients(spread: float) -> None:
    """A temperature that has almost faded divides log-probabilities by very little."""
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(6, 4, generator=generator).log_softmax(dim=1).requires_grad_()
    drawn = torch.randint(4, (6,), generator=generator)
    temperature = torch.tensor([1 / spread])
    rates = (log_probs[torch.arange(6), drawn] * spread)[None]
    is_kept = torch.tensor([[False, True, False, True, False, False]])
    everywhere = torch.ones_like(is_kept)
    rows = torch.tensor([0, 2, 4, 5])
    values = [
        log_probability_of_set(rates, everywhere, is_kept),
        log_probabilities_of_order(rates, everywhere, is_kept, torch.arange(6)[None] // 2).sum(dim=1),
        log_probability_of_set_over_draws(log_probs[rows], rows, rates, is_kept, temperature),
    ]
    for value in values:
        assert value.isfinite().all()
        assert (value <= 0).all()
        gradient = torch.autograd.grad(value.sum(), log_probs, retain_graph=True)[0]
        assert gradient.isfinite().all()


def test_a_hopeless_choice_over_the_draws_is_floored_without_gradient() -> None:
    log_probs = torch.tensor([[0.999, 0.001]]).log().requires_grad_()
    log_rates = torch.tensor([[-500.0, 0.0]])
    is_kept = torch.tensor([[True, False]])
    found = log_probability_of_set_over_draws(log_probs, torch.tensor([1]), log_rates, is_kept, torch.ones(1))
    assert found.item() == LEAST_LOG_PROBABILITY
    assert torch.autograd.grad(found.sum(), log_probs)[0].eq(0).all()
