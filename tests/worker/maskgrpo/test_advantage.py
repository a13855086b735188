"""Advantages within groups."""

from __future__ import annotations

import math

import pytest
import torch

from backend.schemas.objective import AdvantageKind
from worker.maskgrpo.advantage import (
    RewardNotFiniteError,
    check_finite,
    group_advantages,
    group_std,
    win_rates,
    within_group_diversity,
)


def test_advantages_by_hand() -> None:
    # Mean 1, deviations -1, 0, 0, 1, population std sqrt(1/2).
    found = group_advantages(torch.tensor([[0.0, 1.0, 1.0, 2.0]]), epsilon=1e-9)
    torch.testing.assert_close(found, torch.tensor([[-math.sqrt(2), 0, 0, math.sqrt(2)]]))


def test_groups_are_compared_only_within_themselves() -> None:
    apart = group_advantages(torch.tensor([[0.0, 1.0], [100.0, 300.0]]), epsilon=1e-9)
    torch.testing.assert_close(apart, torch.tensor([[-1.0, 1.0], [-1.0, 1.0]]))


def test_equal_rewards_give_exactly_zero_even_where_their_mean_is_rounded() -> None:
    rewards = torch.full((1, 7), 0.1)
    assert group_advantages(rewards, epsilon=1e-9).eq(0).all()
    assert group_std(rewards).eq(0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_an_error_with_a_name(value: float) -> None:
    total = torch.tensor([0.5, value])
    with pytest.raises(RewardNotFiniteError, match=r"1 of 2 pictures .* 'two stars': .* \(dense"):
        check_finite(total, {"dense": total}, ["a circle", "two stars"])


def test_diversity_is_the_share_of_distinct_codes() -> None:
    codes = torch.tensor([[[1, 1], [1, 2], [1, 3], [1, 1]], [[0, 0]] * 4])
    torch.testing.assert_close(within_group_diversity(codes), torch.tensor([(1 / 4 + 3 / 4) / 2, 1 / 4]))


def test_win_rates_by_hand_a_tie_counts_half() -> None:
    # .2 beats none of the three others; each .5 beats one and ties with one; .9 beats all.
    found = win_rates(torch.tensor([[0.5, 0.9, 0.2, 0.5]]))
    torch.testing.assert_close(found, torch.tensor([[1.5 / 3, 1.0, 0.0, 1.5 / 3]]))


def test_win_rate_advantages_by_hand_and_blind_to_how_much_better() -> None:
    # Win rates 1/2, 1, 0, 1/2: mean 1/2, population std sqrt(1/8).
    expected = torch.tensor([[0.0, math.sqrt(2), -math.sqrt(2), 0.0]])
    near, far = torch.tensor([[0.5, 0.5001, 0.4, 0.5]]), torch.tensor([[0.5, 900.0, 0.2, 0.5]])
    for rewards in (near, far):
        torch.testing.assert_close(group_advantages(rewards, 1e-9, AdvantageKind.WIN_RATE), expected)


def test_of_two_valued_rewards_the_win_rate_is_the_z_score() -> None:
    rewards = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(
        group_advantages(rewards, 1e-9, AdvantageKind.WIN_RATE), group_advantages(rewards, 1e-9), atol=1e-5, rtol=1e-5
    )


def test_mean_only_is_not_divided() -> None:
    found = group_advantages(torch.tensor([[0.0, 1.0, 1.0, 2.0]]), 1e-9, AdvantageKind.MEAN_ONLY)
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("kind", list(AdvantageKind))
def test_every_kind_gives_exactly_zero_for_equal_rewards(kind: AdvantageKind) -> None:
    assert group_advantages(torch.full((2, 7), 0.1), 1e-9, kind).eq(0).all()
