"""The clipped surrogate and the KL, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from backend.schemas.algorithm import MaskGRPOConfig, RatioLevel, TransitionDefinition
from backend.schemas.objective import Candidate1Config, Normalisation
from worker.maskgrpo.loss import MAX_LOG_RATIO, k3, mask_grpo_loss

# Two transitions of three positions; the second has two terms. Log-ratios by term: .1, .2, -.05 and .4, -.1.
OLD = torch.tensor([[-1.0, -2.0, -0.5], [-1.5, 0.0, -0.7]], dtype=torch.float64)
DIFFERENCES = torch.tensor([[0.1, 0.2, -0.05], [0.4, 0.0, -0.1]], dtype=torch.float64)
HAS_TERM = torch.tensor([[True, True, True], [True, False, True]])
ADVANTAGES = torch.tensor([1.0, -0.5], dtype=torch.float64)


def loss_of(level: RatioLevel, advantages: Tensor = ADVANTAGES, **settings: float) -> tuple[float, Tensor, Tensor]:
    new = (OLD + DIFFERENCES).requires_grad_()
    config = MaskGRPOConfig(ratio=level, clip_low=0.1, clip_high=0.2, **settings)  # type: ignore[arg-type]
    loss, metrics = mask_grpo_loss(new, OLD, None, HAS_TERM, advantages, config, num_transitions=2)
    return loss.item(), torch.autograd.grad(loss, new)[0], metrics.clipped_share


def test_sequence_ratio_by_hand() -> None:
    # Ratios exp(.25) = 1.284, clipped to 1.2 for the positive advantage, and exp(.3), free for the negative one.
    loss, gradient, clipped = loss_of(RatioLevel.SEQUENCE)
    assert loss == pytest.approx(-(1.2 * 1.0 + math.exp(0.3) * -0.5) / 2)
    assert clipped.tolist() == [1, 0]
    by_hand = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]], dtype=torch.float64) * math.exp(0.3) * 0.5 / 2
    torch.testing.assert_close(gradient, by_hand)


def test_mean_ratio_by_hand() -> None:
    # Ratios exp(.25/3) and exp(.3/2) = 1.162: nothing is clipped.
    loss, gradient, clipped = loss_of(RatioLevel.MEAN)
    first, second = math.exp(0.25 / 3), math.exp(0.15)
    assert loss == pytest.approx(-(first * 1.0 + second * -0.5) / 2)
    assert clipped.tolist() == [0, 0]
    by_hand = torch.tensor([[-first / 3] * 3, [second / 4, 0.0, second / 4]], dtype=torch.float64) / 2
    torch.testing.assert_close(gradient, by_hand)


def test_token_ratio_by_hand() -> None:
    # exp(.2) = 1.221 is clipped to 1.2; under the negative advantage exp(.4) stays free and exp(-.1) = .905 is not low.
    loss, gradient, clipped = loss_of(RatioLevel.TOKEN)
    first = (math.exp(0.1) + 1.2 + math.exp(-0.05)) / 3
    second = -0.5 * (math.exp(0.4) + math.exp(-0.1)) / 2
    assert loss == pytest.approx(-(first + second) / 2)
    assert clipped.tolist() == pytest.approx([1 / 3, 0])
    assert gradient[0, 1] == 0
    assert gradient[1, 1] == 0
    assert gradient[0, 0].item() == pytest.approx(-math.exp(0.1) / 3 / 2)


def test_a_low_ratio_is_clipped_only_for_a_negative_advantage() -> None:
    new, old = torch.tensor([[-1.3], [-1.3]]), torch.tensor([[-1.0], [-1.0]])
    config = MaskGRPOConfig(ratio=RatioLevel.SEQUENCE)
    has_term = torch.ones(2, 1, dtype=torch.bool)
    _, metrics = mask_grpo_loss(new, old, None, has_term, torch.tensor([1.0, -1.0]), config, 2)
    assert metrics.clipped_share.tolist() == [0, 1]


def test_k3_by_hand_zero_at_the_reference_and_positive_away() -> None:
    has_term = torch.tensor([[True, True, False]])
    new, reference = torch.tensor([[-1.0, -2.0, 9.0]]), torch.tensor([[-1.0, -1.5, -9.0]])
    expected = torch.tensor([[0.0, math.exp(0.5) - 0.5 - 1, 0.0]])
    torch.testing.assert_close(k3(new, reference, has_term), expected)
    assert k3(new, new, has_term).eq(0).all()


def test_k3_stays_positive_however_far_the_reference_is() -> None:
    has_term = torch.ones(1, 2, dtype=torch.bool)
    assert k3(torch.zeros(1, 2), torch.tensor([[1e10, -1e10]]), has_term).gt(0).all()


@pytest.mark.parametrize(("level", "num_summed"), [(RatioLevel.SEQUENCE, 2), (RatioLevel.MEAN, 1)])
def test_the_kl_is_weighted_and_summed_as_the_ratio_is(level: RatioLevel, num_summed: int) -> None:
    new, old = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.0, -2.0]])
    has_term = torch.ones(1, 2, dtype=torch.bool)
    config = MaskGRPOConfig(ratio=level, kl_beta=0.5)
    loss, metrics = mask_grpo_loss(new, old, old + 0.3, has_term, torch.tensor([2.0]), config, 1)
    by_token = math.exp(0.3) - 0.3 - 1
    assert loss.item() == pytest.approx(-(2.0 - 0.5 * num_summed * by_token), rel=1e-5)
    assert metrics.kl.item() == pytest.approx(by_token, rel=1e-4)


@pytest.mark.parametrize("level", list(RatioLevel))
@pytest.mark.parametrize("shift", [-500.0, 500.0])
def test_an_absurd_ratio_gives_no_nan(level: RatioLevel, shift: float) -> None:
    new = torch.full((1, 3), shift, requires_grad=True)
    has_term = torch.ones(1, 3, dtype=torch.bool)
    config = MaskGRPOConfig(ratio=level, kl_beta=0.1)
    loss, _ = mask_grpo_loss(new, torch.zeros(1, 3), torch.zeros(1, 3), has_term, torch.tensor([-1.0]), config, 1)
    loss.backward()
    assert loss.isfinite()
    assert new.grad is not None
    assert new.grad.isfinite().all()
    assert loss.item() < math.exp(MAX_LOG_RATIO) * 10


def test_zero_advantage_has_zero_gradient() -> None:
    for level in RatioLevel:
        _, gradient, _ = loss_of(level, advantages=torch.zeros(2, dtype=torch.float64))
        assert gradient.eq(0).all()


def test_separate_normalisation_adds_the_means_of_both_kinds_of_terms_by_hand() -> None:
    # The first transition kept its first position, the second its third: log-ratios .1 + (.2 - .05)/2 and -.1 + .4.
    is_kept = torch.tensor([[True, False, False], [False, False, True]])
    separate = Candidate1Config(normalisation=Normalisation.SEPARATE)
    config = MaskGRPOConfig(ratio=RatioLevel.MEAN, candidate_1=separate)
    new = (OLD + DIFFERENCES).requires_grad_()
    loss, metrics = mask_grpo_loss(new, OLD, None, HAS_TERM, ADVANTAGES, config, 2, is_kept)
    first, second = math.exp(0.175), math.exp(0.3)
    assert metrics.ratio.tolist() == pytest.approx([first, second])
    assert loss.item() == pytest.approx(-(first - 0.5 * second) / 2)
    gradient = torch.autograd.grad(loss, new)[0]
    by_hand = torch.tensor([[-first, -first / 2, -first / 2], [second / 2, 0.0, second / 2]], dtype=torch.float64) / 2
    torch.testing.assert_close(gradient, by_hand)


def test_separate_normalisation_is_candidate_1_s_alone() -> None:
    separate = Candidate1Config(normalisation=Normalisation.SEPARATE)
    config = MaskGRPOConfig(ratio=RatioLevel.MEAN, candidate_1=separate, transition=TransitionDefinition.AUTOREGRESSIVE)
    loss, _ = mask_grpo_loss(OLD + DIFFERENCES, OLD, None, HAS_TERM, ADVANTAGES, config, 2, HAS_TERM)
    assert loss.item() == loss_of(RatioLevel.MEAN)[0]


def test_separate_token_ratios_by_hand() -> None:
    # exp(.2) is clipped to 1.2 in the mean over the remasked.
    is_kept = torch.tensor([[True, False, False], [False, False, True]])
    separate = Candidate1Config(normalisation=Normalisation.SEPARATE)
    config = MaskGRPOConfig(ratio=RatioLevel.TOKEN, candidate_1=separate)
    loss, _ = mask_grpo_loss(OLD + DIFFERENCES, OLD, None, HAS_TERM, ADVANTAGES, config, 2, is_kept)
    first = math.exp(0.1) + (1.2 + math.exp(-0.05)) / 2
    second = -0.5 * (math.exp(-0.1) + math.exp(0.4))
    assert loss.item() == pytest.approx(-(first + second) / 2)
