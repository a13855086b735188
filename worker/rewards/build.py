"""From configuration to reward: the weighted sum of named parts, its breakdown and the verdicts kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.schemas.config import RewardConfig, RewardName
from worker.maskgrpo.types import RewardFunction, Rewards
from worker.rewards.jpeg_size import jpeg_size
from worker.rewards.picture import JudgedPicture, judged_pictures
from worker.rewards.verifier import correct, dense, strict

PARTS: dict[RewardName, Callable[[JudgedPicture], float]] = {
    RewardName.CORRECT: correct,
    RewardName.DENSE: dense,
    RewardName.STRICT: strict,
    RewardName.JPEG_SIZE: jpeg_size,
}
OF_THE_VERIFIER = frozenset({RewardName.CORRECT, RewardName.DENSE, RewardName.STRICT})


def build_reward(configs: Sequence[RewardConfig]) -> RewardFunction:
    """Make the reward function of a run's reward settings.

    Raises:
        ValueError: no part, or a part twice.
    """
    names = [config.name for config in configs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"the rewards are {[str(name) for name in names]}: give at least one, and each once")
    return WeightedReward(tuple(configs))


@dataclass(frozen=True)
class WeightedReward:
    """The weighted sum of its parts; `details` holds each picture's verdict where a part of the verifier is in it."""

    configs: tuple[RewardConfig, ...]

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Rewards:
        """Score (B, 3, H, W) pictures in [0, 1]; ValueError where the verifier does not know a prompt."""
        judged = judged_pictures(pictures, prompts)
        breakdown = {
            str(config.name): torch.tensor([PARTS[config.name](picture) for picture in judged], dtype=torch.float32)
            for config in self.configs
        }
        total = torch.zeros(len(judged))
        for config in self.configs:
            total = total + config.weight * breakdown[str(config.name)]
        has_verdict = any(config.name in OF_THE_VERIFIER for config in self.configs)
        details = tuple(picture.verdict if has_verdict else None for picture in judged)
        return Rewards(total, breakdown, details)
