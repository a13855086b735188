"""How many positions of a picture are masked before each unmasking step: worker and preflight go by it.

Whole numbers on the host, computed once: the loop over steps never asks the device for a count.

Departure 1 from Show-o's sampler (docs/algorithm.md): the last step leaves nothing masked. There, rounding makes
floor(N cos(pi/2)) = -1, the clamp turns it into 1, and one token is never committed.
"""

from __future__ import annotations

import math

from backend.schemas.algorithm import MaskSchedule

SIGMOID_END = 3.0
"""Show-o's sigmoid schedule runs from minus this to this."""


def mask_ratio(num_done: int, num_steps: int, schedule: MaskSchedule) -> float:
    """Gives the share of tokens that is masked after some of the steps, from 1 to 0, as Show-o's schedules do."""
    progress = num_done / num_steps
    if schedule is MaskSchedule.COSINE:
        # In this order of operations: a share that falls on a whole count must not move by the last bit.
        return math.cos(math.pi / 2 * num_done / num_steps)
    if schedule is MaskSchedule.LINEAR:
        return 1 - progress
    if schedule is MaskSchedule.SQUARE:
        return 1 - progress**2
    first, here, last = (1 / (1 + math.exp(SIGMOID_END * (1 - 2 * at))) for at in (0.0, progress, 1.0))
    return (last - here) / (last - first)


def masked_counts(
    num_image_tokens: int, num_unmasking_steps: int, schedule: MaskSchedule = MaskSchedule.COSINE
) -> tuple[int, ...]:
    """Counts the positions that are masked before each step, and after the last.

    After step t, `clamp(floor(N mask_ratio(t+1, T)), T-t-1, unknown-1)` positions are masked, where `unknown` is the
    count before the step: each step keeps one at least, and leaves one at least for each that follows. The cosine never
    falls so low, so for it this is Show-o's lower bound of 1.

    Args:
        num_image_tokens: N, at least 1.
        num_unmasking_steps: T, 1 to N.
        schedule: the mask ratio as a function of progress.

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
        wanted = math.floor(num_image_tokens * mask_ratio(step + 1, num_unmasking_steps, schedule))
        counts.append(max(num_unmasking_steps - step - 1, min(wanted, counts[-1] - 1)))
    return (*counts, 0)
