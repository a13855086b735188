"""The reward models by name, each loaded whole in the wanted precision. Importing it takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from backend.schemas.reward import RewardName
from worker.rewards.aesthetic import Aesthetic, load_aesthetic
from worker.rewards.clip_score import ClipScore, load_clip_score, load_hps, load_pickscore
from worker.rewards.image_reward import ImageReward, load_image_reward
from worker.rewards.learned import LearnedReward, load_learned

Network = ClipScore | Aesthetic | ImageReward | LearnedReward

LOADERS: dict[RewardName, Callable[[str], Network]] = {
    RewardName.CLIP: load_clip_score,
    RewardName.PICKSCORE: load_pickscore,
    RewardName.HPS: load_hps,
    RewardName.AESTHETIC: load_aesthetic,
    RewardName.IMAGE_REWARD: load_image_reward,
    RewardName.LEARNED: load_learned,
}


def load_network(name: RewardName, source: str, dtype: torch.dtype) -> Callable[[Tensor, Sequence[str]], Tensor]:
    """Load a reward model. A head on an embedding stays float32: it costs nothing, and its scores are differences.

    Raises:
        ValueError: its weights are absent, broken, or not the model's; the error says what to download.
    """
    network = LOADERS[name](source)
    if isinstance(network, ImageReward):
        network.network.blip.to(dtype)
    else:
        network.clip.model.to(dtype)
    return network
