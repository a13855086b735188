"""Rewards and reward models, over REST."""

from __future__ import annotations

from backend.client.connection import Connection, RunID
from backend.schemas.base import Page
from backend.schemas.known_reward import KnownReward, RewardModel


class RewardModelRoutes(Connection):
    """Reading what a run can be trained on."""

    def list_rewards(self) -> list[KnownReward]:
        """Every reward by name."""
        return self._get(Page[KnownReward], "/rewards").data

    def list_reward_models(self, *, limit: int = 20, after: str | None = None) -> Page[RewardModel]:
        """Reward models, the newest first."""
        return self._get(Page[RewardModel], "/reward-models", limit=limit, after=after)

    def get_reward_model(self, run_id: RunID) -> RewardModel:
        """One reward model with its report and lineage."""
        return self._get(RewardModel, f"/reward-models/{run_id}")
