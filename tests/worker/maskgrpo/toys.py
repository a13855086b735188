"""Small real policies, rewards and prompt sources: every protocol of the algorithm, none of Show-o."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backend.schemas.algorithm import (
    MaskGRPOConfig,
    OptimizerConfig,
    RolloutConfig,
    SampleFilterConfig,
    SamplingConfig,
    TransitionDefinition,
)
from backend.schemas.config import TrainConfig
from worker.maskgrpo.types import Rewards

PROMPTS = ("a red circle", "two stars")


@dataclass(frozen=True)
class ToyPrefix:
    """Each prompt as a vector."""

    vectors: Tensor  # (B, H).

    def index(self, rows: Tensor) -> ToyPrefix:
        return ToyPrefix(self.vectors[rows])


class ToyPolicy(nn.Module):
    """Every position sees its place, the prompt and the mean of all codes: a masked image model of a few weights."""

    def __init__(
        self, num_tokens: int = 6, codebook_size: int = 5, hidden: int = 7, seed: int = 0, dtype: Any = torch.float32
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def weights(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype))

        self.codes = weights(codebook_size + 1, hidden)
        self.places = weights(num_tokens, hidden)
        self.prompts = weights(11, hidden)
        self.head = weights(hidden, codebook_size)

    @property
    def num_image_tokens(self) -> int:
        return self.places.shape[0]

    @property
    def codebook_size(self) -> int:
        return self.head.shape[1]

    @property
    def device(self) -> torch.device:
        return self.head.device

    def prefix(self, prompts: Sequence[str]) -> ToyPrefix:
        return ToyPrefix(self.prompts[torch.tensor([sum(prompt.encode()) % 11 for prompt in prompts])])

    def code_logits(self, prefix: ToyPrefix, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        seen = self.codes[codes]
        hidden = torch.tanh(self.places + prefix.vectors[:, None] + seen + seen.mean(dim=1, keepdim=True))
        if rows is not None:
            hidden = hidden.flatten(0, 1)[rows]
        return hidden @ self.head

    def decode(self, codes: Tensor) -> Tensor:
        shares = codes.float() / (self.codebook_size - 1)
        return shares[:, None, None, :].expand(-1, 3, 2, -1)

    def code_embeddings(self) -> Tensor:
        bits = (torch.arange(self.codebook_size)[:, None] >> torch.arange(3)) & 1
        return bits.float() * 2 - 1


class ToyPrompts:
    """The same prompts in turn."""

    def __init__(self, prompts: Sequence[str] = PROMPTS) -> None:
        self._prompts = prompts
        self.cursor = 0

    def next_prompts(self, num_prompts: int) -> list[str]:
        places = range(self.cursor, self.cursor + num_prompts)
        self.cursor += num_prompts
        return [self._prompts[place % len(self._prompts)] for place in places]

    def state_dict(self) -> dict[str, object]:
        return {"cursor": self.cursor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.cursor = state["cursor"]


def brightness(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
    """Rewards high codes."""
    mean = pictures.mean(dim=(1, 2, 3))
    return Rewards(2 * mean, {"brightness": mean})


def equal_rewards(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
    """No picture is better than another."""
    same = torch.full((len(prompts),), 0.3)
    return Rewards(same, {"same": same})


def toy_config(
    *,
    grpo: dict[str, Any] | None = None,
    sampling: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    **run: Any,
) -> TrainConfig:
    """A run on the toy: 2 prompts x 4 rollouts, 3 unmasking steps, candidate 2, filter without re-sampling."""
    chosen = {"transition": TransitionDefinition.CANDIDATE_2, "filter": SampleFilterConfig(max_tries=0, percentile=0)}
    return TrainConfig(
        **{"num_steps": 3, "rollout": RolloutConfig(num_prompts=2, group_size=4), **run},
        grpo=MaskGRPOConfig(**chosen | (grpo or {})),
        sampling=SamplingConfig(**{"num_unmasking_steps": 3} | (sampling or {})),
        optimizer=OptimizerConfig(**{"learning_rate": 1e-2} | (optimizer or {})),
    )
