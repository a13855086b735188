"""From configuration to reward: the weighted sum of named parts, its breakdown and the verdicts kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.schemas.reward import RewardConfig, RewardName, RewardPrecision
from worker.maskgrpo.advantage import check_finite
from worker.maskgrpo.types import RewardFunction, Rewards
from worker.rewards.jpeg_size import jpeg_size
from worker.rewards.normalisation import normalised
from worker.rewards.picture import JudgedPicture, judged_pictures
from worker.rewards.verifier import correct, dense, strict

# Rewards of one picture at a time, without a network.
PARTS: dict[RewardName, Callable[[JudgedPicture], float]] = {
    RewardName.CORRECT: correct,
    RewardName.DENSE: dense,
    RewardName.STRICT: strict,
    RewardName.JPEG_SIZE: jpeg_size,
}
OF_THE_VERIFIER = frozenset({RewardName.CORRECT, RewardName.DENSE, RewardName.STRICT})

# Scores (B, 3, H, W) pictures in [0, 1] for B prompts as (B,) float32.
BatchScorer = Callable[[Tensor, Sequence[str]], Tensor]


def build_reward(configs: Sequence[RewardConfig]) -> RewardFunction:
    """Make the reward function of a run's reward settings; reward models are loaded now, and never downloaded.

    Raises:
        ValueError: no part, a part twice, or weights that are absent or not the model's: what to download, and where to
            put it.
    """
    names = [config.name for config in configs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"the rewards are {[str(name) for name in names]}: give at least one, and each once")
    scorers = {config.name: _scorer(config) for config in configs if config.name not in PARTS}
    return WeightedReward(tuple(configs), scorers)


@dataclass(frozen=True)
class WeightedReward:
    """The weighted sum of its parts; `details` holds each picture's verdict where a part of the verifier is in it."""

    configs: tuple[RewardConfig, ...]
    scorers: dict[RewardName, BatchScorer]

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Rewards:
        """Score (B, 3, H, W) pictures in [0, 1].

        Raises:
            ValueError: the verifier does not know a prompt.
            RewardNotFiniteError: a part is NaN or infinite for a picture.
        """
        judged = judged_pictures(pictures, prompts)
        breakdown = {str(config.name): self._part(config.name, pictures, prompts, judged) for config in self.configs}
        for name, values in breakdown.items():
            # Before any z-score, which makes NaN of every picture beside a bad one, or 0 of equal infinities.
            check_finite(values, {name: values}, list(prompts))
        total = torch.zeros(len(prompts))
        for config in self.configs:
            total = total + config.weight * normalised(breakdown[str(config.name)], config)
        has_verdict = any(config.name in OF_THE_VERIFIER for config in self.configs)
        details = tuple(picture.verdict if has_verdict else None for picture in judged)
        return Rewards(total, breakdown, details)

    def _part(
        self, name: RewardName, pictures: Tensor, prompts: Sequence[str], judged: Sequence[JudgedPicture]
    ) -> Tensor:
        if name in self.scorers:
            return self.scorers[name](pictures.detach(), prompts).detach().float().cpu()
        return torch.tensor([PARTS[name](picture) for picture in judged], dtype=torch.float32)


def _scorer(config: RewardConfig) -> BatchScorer:
    """The scorer of a part that judges whole batches."""
    # Loaded here and not above: a run without reward models would import open_clip and transformers for seconds.
    if config.name is RewardName.REMOTE:
        from worker.rewards.remote import remote_scorer  # noqa: PLC0415

        return remote_scorer(config.source, config.timeout_s)
    from worker.rewards.networks import load_network  # noqa: PLC0415

    return load_network(config.name, config.source, _DTYPES[config.precision])


_DTYPES = {
    RewardPrecision.FLOAT32: torch.float32,
    RewardPrecision.BFLOAT16: torch.bfloat16,
    RewardPrecision.FLOAT16: torch.float16,
}
