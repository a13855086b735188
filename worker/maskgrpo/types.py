"""The records and protocols of Mask-GRPO. Knows tensors only: no Show-o, no files, no database.

Notation for shapes: B = rollouts in a batch, G = group size, N = image tokens, K = codebook size, T = unmasking steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self

import torch
from torch import Tensor, nn


class Prefix(Protocol):
    """The encoded prompts of a batch, opaque to the algorithm; text never sees the image, so it is computed once."""

    def index(self, rows: Tensor) -> Self:
        """The prefix of the given rows, (R,) int64, with repetition allowed."""
        ...


class Policy(Protocol):
    """A masked image model: all that Mask-GRPO asks of it."""

    @property
    def num_image_tokens(self) -> int: ...

    @property
    def codebook_size(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def prefix(self, prompts: Sequence[str]) -> Prefix:
        """Encodes prompts; the empty string is the unconditional prompt. Gradients flow when they are enabled."""
        ...

    def code_logits(self, prefix: Prefix, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        """Float32 logits over the K image codes.

        Args:
            prefix: the prompts, B rows.
            codes: (B, N) int64 in [0, K]; K (= `codebook_size`) stands for a masked position.
            rows: (R,) int64 flat indices into B*N; None asks for all.

        Returns:
            (B, N, K), or (R, K) when `rows` is given.
        """
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) float32 in [0, 1] from codes (B, N) int64 in [0, K)."""
        ...

    def code_embeddings(self) -> Tensor:
        """(K, D) float32: the image tokenizer's vector of each code; read by the step selection `information`."""
        ...


class TrainablePolicy(Policy, Protocol):
    """A policy whose parameters are trained: those that require a gradient."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """As `nn.Module.named_parameters`."""
        ...


@dataclass(frozen=True)
class UnmaskingStep:
    """One unmasking step of a batch."""

    drawn: Tensor  # (B, N) int64: the code drawn at each position that was masked; the fixed code elsewhere.
    is_masked: Tensor  # (B, N) bool: True where the position was masked before the step.
    is_newly_unmasked: Tensor  # (B, N) bool: True where the draw was kept.
    order: Tensor  # (B, N) int64: where kept, the place in the choice, from 0, the best first; 0 elsewhere.
    confidence: Tensor  # (B, N) float32: probability of the drawn token; NaN where the position was fixed.
    entropy: Tensor  # (B, N) float32, nats: entropy of the position's distribution; NaN where fixed.
    log_prob: Tensor  # (B,) float32: transition log-prob under the policy that sampled.
    token_log_prob: Tensor  # (B, N) float32: its terms by position; 0 where the position has no term.


@dataclass(frozen=True)
class Trajectory:
    """The ordered unmasking steps of a batch of rollouts, stacked: T steps, B rollouts."""

    codes: Tensor  # (B, N) int64: the final picture's codes, none masked.
    unmasked_at: Tensor  # (B, N) int64 in [0, T): the step at which each position was kept.
    drawn: Tensor  # (T, B, N) int64: see UnmaskingStep.
    confidence: Tensor  # (T, B, N) float32.
    entropy: Tensor  # (T, B, N) float32, nats.
    log_prob: Tensor  # (T, B) float32: transition log-prob by step, recorded at rollout.
    token_log_prob: Tensor  # (T, B, N) float32: its terms by position.
    order: Tensor  # (B, N) int64: the position's place in the choice of the step that kept it, from 0.
    temperature: Tensor  # (T,) float32: the weight of the Gumbel noise on the choice.

    @property
    def num_steps(self) -> int:
        """T."""
        return self.drawn.shape[0]

    def is_masked(self, step: int) -> Tensor:
        """(B, N) bool: True where the position is masked before `step`."""
        return self.unmasked_at >= step

    def is_newly_unmasked(self, step: int) -> Tensor:
        """(B, N) bool: True where `step` kept the draw."""
        return self.unmasked_at == step

    def state(self, step: int, mask_code: int) -> Tensor:
        """(B, N) int64: the codes before `step`, `mask_code` where masked."""
        return torch.where(self.is_masked(step), mask_code, self.codes)

    def index(self, rows: Tensor) -> Trajectory:
        """The trajectories of the given rollouts, (R,) int64."""
        return Trajectory(
            codes=self.codes[rows],
            unmasked_at=self.unmasked_at[rows],
            drawn=self.drawn[:, rows],
            confidence=self.confidence[:, rows],
            entropy=self.entropy[:, rows],
            log_prob=self.log_prob[:, rows],
            token_log_prob=self.token_log_prob[:, rows],
            order=self.order[rows],
            temperature=self.temperature,
        )

    def to(self, device: torch.device) -> Trajectory:
        """The same trajectories on a device."""
        return Trajectory(**{each.name: getattr(self, each.name).to(device) for each in fields(self)})


@dataclass(frozen=True)
class Rewards:
    """The rewards of a batch, with the parts they are the weighted sum of."""

    total: Tensor  # (B,) float32.
    breakdown: dict[str, Tensor]  # name -> (B,) float32, before weighting.
    details: tuple[
        object | None, ...
    ] = ()  # one a rollout: why (e.g. the verifier's verdict); never used in the mathematics.


class RewardFunction(Protocol):
    """Scores finished pictures."""

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Rewards:
        """Pictures (B, 3, H, W) float32 in [0, 1] and B prompts -> B rewards."""
        ...


class PromptSource(Protocol):
    """Where a step's prompts come from; its cursor is part of a checkpoint."""

    def next_prompts(self, num_prompts: int) -> list[str]:
        """The next prompts, in a fixed order for a fixed seed."""
        ...

    def state_dict(self) -> dict[str, object]: ...

    def load_state_dict(self, state: dict[str, object]) -> None: ...


@dataclass(frozen=True)
class Group:
    """The rollouts of one prompt at one training step."""

    prompt: str
    seeds: tuple[int, ...]  # G: a sample is a function of policy, prompt, seed and settings alone.
    trajectory: Trajectory  # B = G.
    pictures: Tensor  # (G, 3, H, W) float32 in [0, 1].
    rewards: Rewards  # B = G.
    advantages: Tensor  # (G,) float32; zeros when the group was filtered.
    is_kept: bool
    reason: str  # Why it was kept or filtered, in words.
    num_tries: int  # Rollouts made for it, re-samplings included.


@dataclass(frozen=True)
class TrainStep:
    """What one training step yields."""

    step: int  # Counts from 1: steps that are done.
    groups: tuple[Group, ...]
    metrics: dict[str, float]  # May hold NaN; see docs/algorithm.md for every key.
    credit: dict[str, tuple[float, ...]]  # by unmasking step: ratio, clipped_share, kl, log_prob, gradient_share.
    alarms: tuple[tuple[str, str, str, str, str], ...]  # (code, severity, message, cure, subject): schemas.event.Alarm.
    standing: tuple[str, ...]  # The keys of all alarms that stand after it, whenever they were raised.
    seconds_rollout: float
    seconds_reward: float
    seconds_update: float
