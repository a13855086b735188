"""The head that LAION's aesthetic predictor and ImageReward share: five linear layers with nothing between them."""

from __future__ import annotations

from torch import Tensor, nn


class ScoreHead(nn.Module):
    """Published as `layers.{0,2,4,6,7}`; dropout stood at the odd places, and does nothing when a score is taken."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(input_size, 1024),
            nn.Identity(),
            nn.Linear(1024, 128),
            nn.Identity(),
            nn.Linear(128, 64),
            nn.Identity(),
            nn.Linear(64, 16),
            nn.Linear(16, 1),
        )

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return (B, 1) for (B, input_size)."""
        return self.layers(embeddings)
