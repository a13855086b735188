"""Rewards on rendered scenes: what is asked, what is extra, and the sum of parts."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.schemas.config import RewardConfig, RewardName
from worker.rewards.build import build_reward
from worker.rewards.picture import judged_pictures
from worker.shapes.captions import parse_caption, scene_for
from worker.shapes.renderer import render
from worker.shapes.verifier import verify

PROMPT = "a photo of a red circle"


def pictures_of(*captions: str) -> Tensor:
    images = []
    for place, text in enumerate(captions):
        rng = np.random.default_rng(place)
        images.append(render(scene_for(parse_caption(text), rng), rng))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def parts(*names: RewardName, weight: float = 1.0) -> list[RewardConfig]:
    return [RewardConfig(name=name, weight=weight) for name in names]


def test_the_three_rewards_of_the_verifier_differ_as_they_claim() -> None:
    pictures = pictures_of(PROMPT, "a photo of a red circle and a blue star", "a photo of a green circle")
    reward = build_reward(parts(RewardName.CORRECT, RewardName.DENSE, RewardName.STRICT))
    breakdown = reward(pictures, [PROMPT] * 3).breakdown
    assert breakdown["correct"].tolist() == [1, 1, 0]
    assert breakdown["strict"].tolist() == [1, 0, 0]
    assert breakdown["dense"].tolist() == [1, 1, 0.5]


def test_the_total_is_the_weighted_sum_and_the_parts_stay_unweighted() -> None:
    pictures = pictures_of(PROMPT, "a photo of two stars")
    configs = [RewardConfig(name=RewardName.DENSE, weight=2.0), RewardConfig(name=RewardName.JPEG_SIZE, weight=0.25)]
    rewards = build_reward(configs)(pictures, [PROMPT] * 2)
    expected = 2 * rewards.breakdown["dense"] + 0.25 * rewards.breakdown["jpeg_size"]
    torch.testing.assert_close(rewards.total, expected)
    assert rewards.breakdown["dense"].tolist() == [1, 0]
    assert list(rewards.breakdown) == ["dense", "jpeg_size"]


def test_details_are_the_verdicts_and_one_verdict_serves_all_parts() -> None:
    pictures = pictures_of(PROMPT, PROMPT)
    reward = build_reward(parts(RewardName.CORRECT, RewardName.DENSE, RewardName.STRICT))
    with patch("worker.rewards.picture.verify", wraps=verify) as counted:
        rewards = reward(pictures, [PROMPT] * 2)
    assert counted.call_count == 2
    assert [verdict.is_strict for verdict in rewards.details] == [True, True]


def test_jpeg_size_rewards_the_plainer_picture_and_needs_no_caption() -> None:
    plain = torch.full((1, 3, 64, 64), 0.5)
    noisy = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    rewards = build_reward(parts(RewardName.JPEG_SIZE))(torch.cat([plain, noisy]), ["any words at all"] * 2)
    assert rewards.total[1] < rewards.total[0] < 0
    assert rewards.details == (None, None)


def test_a_prompt_that_the_verifier_cannot_read_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'a dog' is not a caption"):
        build_reward(parts(RewardName.STRICT))(pictures_of(PROMPT), ["a dog"])


def test_no_reward_and_a_reward_twice_are_refused() -> None:
    for configs in ([], parts(RewardName.DENSE, RewardName.DENSE)):
        with pytest.raises(ValueError, match="at least one, and each once"):
            build_reward(configs)


def test_one_prompt_a_picture() -> None:
    with pytest.raises(ValueError, match="1 pictures and 2 prompts"):
        judged_pictures(pictures_of(PROMPT), [PROMPT] * 2)
