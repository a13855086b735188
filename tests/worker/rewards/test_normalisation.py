"""What happens to a part's values before they are weighted."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from backend.schemas.reward import RewardConfig, RewardName
from tests.worker.rewards.test_build import PROMPT, pictures_of
from worker.maskgrpo.advantage import RewardNotFiniteError
from worker.rewards.build import WeightedReward, build_reward
from worker.rewards.normalisation import normalised


def part(**settings: object) -> RewardConfig:
    return RewardConfig.model_validate({"name": "dense", **settings})


def test_none_changes_nothing() -> None:
    values = torch.tensor([0.1, 5.0])
    assert normalised(values, part()) is values


def test_affine_is_by_the_given_numbers() -> None:
    values = normalised(torch.tensor([19.0, 23.0]), part(normalisation="affine", mean=21, std=2))
    assert values.tolist() == [-1, 1]


def test_batch_is_a_z_score_and_zero_where_nothing_differs() -> None:
    scored = normalised(torch.tensor([1.0, 2.0, 3.0]), part(normalisation="batch"))
    torch.testing.assert_close(scored, torch.tensor([-1.2247449, 0.0, 1.2247449]))
    assert normalised(torch.full((3,), 0.1), part(normalisation="batch")).tolist() == [0, 0, 0]
    assert normalised(torch.tensor([7.0]), part(normalisation="batch")).tolist() == [0]


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_broken_score_is_refused_with_its_own_prompt_before_it_is_normalised(
    normalisation: str, score: float
) -> None:
    config = RewardConfig.model_validate({"name": "clip", "normalisation": normalisation})
    prompts = [f"p{number}" for number in range(8)]
    scores = torch.arange(8.0)
    scores[5] = score
    reward = WeightedReward((config,), {RewardName.CLIP: lambda _pictures, _prompts: scores})
    with pytest.raises(RewardNotFiniteError, match=rf"1 of 8 pictures .* for 'p5': {score} \(clip {score}\)"):
        reward(torch.zeros(8, 3, 16, 16), prompts)
    # Equal infinities would otherwise be a z-score of 0, and so would one picture alone.
    for count in (1, 8):
        reward = WeightedReward((config,), {RewardName.CLIP: lambda pictures, _: torch.full((len(pictures),), score)})
        with pytest.raises(RewardNotFiniteError, match="is not a finite number"):
            reward(torch.zeros(count, 3, 16, 16), prompts[:count])


def test_the_sum_takes_the_normalised_values_and_the_breakdown_keeps_the_others() -> None:
    pictures = pictures_of(PROMPT, "a photo of a blue star", "a photo of a red star")
    configs = [
        part(weight=2, normalisation="affine", mean=0.5, std=0.25),
        RewardConfig.model_validate({"name": "jpeg_size", "weight": 0.5, "normalisation": "batch"}),
    ]
    rewards = build_reward(configs)(pictures, [PROMPT] * 3)
    dense, size = rewards.breakdown["dense"], rewards.breakdown["jpeg_size"]
    expected = 2 * (dense - 0.5) / 0.25 + 0.5 * (size - size.mean()) / size.std(correction=0)
    torch.testing.assert_close(rewards.total, expected)
    assert dense.tolist()[0] == 1
    assert (size < -0.5).all()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mean": 1.0}, "have no effect while normalisation is none"),
        ({"normalisation": "batch", "std": 2.0}, "have no effect while normalisation is batch"),
        ({"source": "/models"}, "dense has no weights, so source '/models' has no effect"),
        ({"name": "remote"}, "remote needs its server's URL"),
        ({"name": "remote", "source": "http://me:secret@host"}, "without a password"),
        ({"precision": "float16"}, "dense is no network"),
        ({"timeout_s": 5}, "waits for no server"),
        ({"name": "hps", "source": "shipped"}, "no weights of hps are"),
    ],
)
def test_settings_that_cannot_take_effect_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        part(**settings)
