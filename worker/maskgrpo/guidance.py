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
    guidance_scale: float  # w, at least 0; 0 = none.

    def image_logits(self, policy: Policy, codes: Tensor, rows: Tensor) -> Tensor:
        """Gives the logits of the distribution that is sampled: (1 + w) conditional - w unconditional.

        Args:
            policy: the model.
            codes: (B, N) int64 in [0, K], K where masked.
            rows: (R,) int64 flat indices into B * N.

        Returns:
            (R, K) float32.
        """
        if self.guidance_scale == 0:
            return policy.image_logits(self.prefix, codes, rows)
        both = policy.image_logits(self.prefix, codes.repeat(2, 1), torch.cat([rows, rows + codes.numel()]))
        conditional, unconditional = both.chunk(2)
        return (1 + self.guidance_scale) * conditional - self.guidance_scale * unconditional


def encode_prompts(policy: Policy, prompts: Sequence[str], guidance_scale: float) -> GuidedPrefix:
    """Encodes each distinct prompt once, and the empty one once, and hands them out to the B rollouts.

    Args:
        policy: the model; gradients flow when they are enabled.
        prompts: B prompts, with repetition.
        guidance_scale: w, at least 0.

    Returns:
        The prefix of the B rollouts in their order.
    """
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    rows = torch.tensor([places[prompt] for prompt in prompts], device=policy.device)
    if guidance_scale == 0:
        return GuidedPrefix(policy.prefix(list(places)).index(rows), guidance_scale)
    unconditional = torch.full_like(rows, len(places))
    prefix = policy.prefix([*places, ""]).index(torch.cat([rows, unconditional]))
    return GuidedPrefix(prefix, guidance_scale)
