"""The schedule of one rollout: how many positions each unmasking step keeps, and how much noise it adds.

Whole numbers on the host, computed once: the loop over steps never asks the device for a count.

Departure 1 from Show-o's sampler (docs/algorithm.md): the last step leaves nothing masked. There, rounding makes
floor(N cos(pi/2)) = -1, the clamp turns it into 1, and one token is never committed.
"""

from __future__ import annotations

import math

from backend.schemas.algorithm import TemperatureSchedule


def masked_counts(num_image_tokens: int, num_unmasking_steps: int) -> tuple[int, ...]:
    """Counts the positions that are masked before each step, and after the last.

    The cosine schedule: after step t, `clamp(floor(N cos(pi/2 (t+1)/T)), 1, unknown - 1)` positions are masked, and 0
    after the last, where `unknown` is the count before the step.

    Args:
        num_image_tokens: N, at least 1.
        num_unmasking_steps: T, 1 to N.

    Returns:
        T + 1 integers, strictly falling from N to 0: step t keeps `counts[t] - counts[t + 1]` draws.

    Raises:
        ValueError: T is larger than N: some steps would have nothing to keep.
    """
    if not 1 <= num_unmasking_steps <= num_image_tokens:
        raise ValueError(
            f"num_unmasking_steps is {num_unmasking_steps}, but a picture has {num_image_tokens} tokens and every step "
            f"keeps at least one: take 1 to {num_image_tokens}"
        )
    counts = [num_image_tokens]
    for step in range(num_unmasking_steps - 1):
        wanted = math.floor(num_image_tokens * math.cos(math.pi / 2 * (step + 1) / num_unmasking_steps))
        counts.append(max(1, min(wanted, counts[-1] - 1)))
    return (*counts, 0)


def temperatures(first: float, num_unmasking_steps: int, schedule: TemperatureSchedule) -> tuple[float, ...]:
    """Gives the weight of the Gumbel noise at each step.

    Show-o multiplies the running temperature by 1 - (t+1)/T at step t, before it is used, so the factors compound;
    MaskGIT's is the first temperature times 1 - (t+1)/T. Both are 0 at the last step, which keeps all draws anyway.

    Args:
        first: the setting, at least 0.
        num_unmasking_steps: T.
        schedule: how it falls.

    Returns:
        T weights, each at least 0.
    """
    weights = []
    running = first
    for step in range(num_unmasking_steps):
        left = 1.0 - (step + 1) / num_unmasking_steps
        running *= left
        weights.append(running if schedule is TemperatureSchedule.COMPOUNDING else first * left)
    return tuple(weights)
