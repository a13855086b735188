"""Advantages within groups."""

from __future__ import annotations

import math

import pytest
import torch

from worker.maskgrpo.advantage import (
    RewardNotFiniteError,
    check_finite,
    group_advantages,
    group_std,
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
