"""Learned rewards of a run by the folder they lie in: other runs lie beside this run's folder."""

from __future__ import annotations

from collections.abc import Sequence

from backend.artifacts import RunFolder
from backend.reward_reports import proven_folder
from backend.schemas.reward import RewardConfig, RewardName


def with_folders(rewards: Sequence[RewardConfig], folder: RunFolder) -> tuple[RewardConfig, ...]:
    """The rewards as `build_reward` takes them: of a learned one, `run:<id>` has become the folder with its files.

    Raises:
        ValueError: a reward model is not there, was changed, or is no better than chance.
    """
    return tuple(_with_folder(reward, folder) for reward in rewards)


def _with_folder(reward: RewardConfig, folder: RunFolder) -> RewardConfig:
    if reward.name is not RewardName.LEARNED:
        return reward
    return reward.model_copy(update={"source": str(proven_folder(reward.source, folder.root.parent))})
