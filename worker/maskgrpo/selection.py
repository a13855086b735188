"""Which unmasking steps of a rollout enter the loss (the paper's computational reduction, and choices beside it)."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.schemas.algorithm import StepSelection


def selected_steps(
    selection: StepSelection,
    num_steps: int,
    num_selected: int,
    num_rollouts: int,
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Selects the unmasking steps of each rollout.

    Args:
        selection: all, the first, the last, random ones (each rollout its own), or a window that slides from the
            first to the last ones as training goes on.
        num_steps: T.
        num_selected: S, 1 to T; ignored by `all`.
        num_rollouts: B.
        progress: share of the training that is done, in [0, 1]; read by `window` only.
        generator: a CPU generator, read by `random` only.

    Returns:
        (B, S) int64 in [0, T), ascending in each row, none twice.

    Raises:
        ValueError: S is not in 1 to T.
    """
    if selection is StepSelection.ALL:
        return torch.arange(num_steps).expand(num_rollouts, -1)
    if not 1 <= num_selected <= num_steps:
        raise ValueError(
            f"num_selected_steps is {num_selected}, but a trajectory has {num_steps} unmasking steps: "
            f"take 1 to {num_steps}"
        )
    if selection is StepSelection.RANDOM:
        order = torch.rand(num_rollouts, num_steps, generator=generator).argsort(dim=1)
        return order[:, :num_selected].sort(dim=1).values
    last_start = num_steps - num_selected
    starts = {
        StepSelection.FIRST: 0,
        StepSelection.LAST: last_start,
        StepSelection.WINDOW: min(int(progress * (last_start + 1)), last_start),
    }
    start = starts[selection]
    return torch.arange(start, start + num_selected).expand(num_rollouts, -1)
