"""Classifier-free guidance, and the sharing of one text pass by all rollouts of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.maskgrpo.types import Policy, Prefix


@dataclass(frozen=True)
class GuidedPrefix:
    """The encoded prompts of B rollouts, and of their unconditional twins where there is guidance."""

    prefix: Prefix  # B rows, or 2B: the conditional ones, then as many unconditional ones.
    num_rollouts: int  # B.
    guidance_scale: float  # w, at least 0; 0 = none.

    def index(self, rows: Tensor) -> GuidedPrefix:
        """The prefix of the given rollouts, (R,) int64, with repetition allowed."""
        both = rows if self.guidance_scale == 0 else torch.cat([rows, rows + self.num_rollouts])
        return GuidedPrefix(self.prefix.index(both), len(rows), self.guidance_scale)

    def code_logits(self, policy: Policy, codes: Tensor, rows: Tensor) -> Tensor:
        """Gives the logits of the distribution that is sampled: (1 + w) conditional - w unconditional.

        Args:
            policy: the model.
            codes: (B, N) int64 in [0, K], K where masked.
            rows: (R,) int64 flat indices into B * N.

        Returns:
            (R, K) float32.
        """
        if self.guidance_scale == 0:
            return policy.code_logits(self.prefix, codes, rows)
        both = policy.code_logits(self.prefix, codes.repeat(2, 1), torch.cat([rows, rows + codes.numel()]))
        conditional, unconditional = both.chunk(2)
        return (1 + self.guidance_scale) * conditional - self.guidance_scale * unconditional


def encode_prompts(policy: Policy, prompts: Sequence[str], guidance_scale: float) -> tuple[GuidedPrefix, Tensor]:
    """Encodes each distinct prompt once, and the empty one once where there is guidance.

    Args:
        policy: the model; gradients flow when they are enabled.
        prompts: B prompts, with repetition.
        guidance_scale: w, at least 0.

    Returns:
        The prefix of the D distinct prompts, and (B,) int64: which of them each prompt is. `prefix.index(places)` is
        that of the B prompts.
    """
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    rows = torch.tensor([places[prompt] for prompt in prompts], device=policy.device)
    if guidance_scale == 0:
        return GuidedPrefix(policy.prefix(list(places)), len(places), guidance_scale), rows
    conditional = torch.arange(len(places), device=policy.device)
    unconditional = torch.full_like(conditional, len(places))
    prefix = policy.prefix([*places, ""]).index(torch.cat([conditional, unconditional]))
    return GuidedPrefix(prefix, len(places), guidance_scale), rows
