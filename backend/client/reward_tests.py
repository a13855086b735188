"""Reward tests, over REST."""

from __future__ import annotations

from uuid import UUID

from backend.client.connection import Connection
from backend.schemas.reward_test import RewardTest, RewardTestCreate


class RewardTestRoutes(Connection):
    """Asking rewards about one picture."""

    def create_reward_test(self, wanted: RewardTestCreate) -> RewardTest:
        """Asks; read the test until it is done."""
        return self._post(RewardTest, "/reward-tests", wanted)

    def get_reward_test(self, test_id: UUID | str) -> RewardTest:
        """How far the test is, and what was found."""
        return self._get(RewardTest, f"/reward-tests/{test_id}")
