"""The schedule of one rollout: how much noise each unmasking step adds, beside how many positions it keeps."""

from __future__ import annotations

from backend.schemas.algorithm import TemperatureSchedule
from backend.schemas.mask_schedule import mask_ratio, masked_counts

__all__ = ["mask_ratio", "masked_counts", "temperatures"]


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
