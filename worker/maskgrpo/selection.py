"""Which unmasking steps of a rollout enter the loss (the paper's computational reduction, and choices beside it)."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.schemas.algorithm import StepSelection
from backend.schemas.objective import WindowConfig
from worker.maskgrpo.types import Trajectory


def selected_steps(
    selection: StepSelection,
    num_steps: int,
    num_selected: int,
    num_rollouts: int,
    start: int,
    generator: torch.Generator,
    gain: Tensor | None = None,
) -> Tensor:
    """Selects the unmasking steps of each rollout.

    Args:
        selection: all, the first, the last, random ones (each rollout its own), a window that slides from the first to
            the last ones as training goes on, or those of the greatest information gain (each rollout its own).
        num_steps: T.
        num_selected: S, 1 to T; ignored by `all`.
        num_rollouts: B.
        start: the window's first step, in [0, T - S]; read by `window` only.
        generator: a CPU generator, read by `random` only.
        gain: (B, T) from `information_gain`; read by `information` only.

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
    if selection is StepSelection.INFORMATION:
        assert gain is not None, "steps are chosen by their information gain, which was not given"
        best = gain.cpu().sort(dim=1, descending=True, stable=True).indices
        return best[:, :num_selected].sort(dim=1).values
    if selection is StepSelection.RANDOM:
        order = torch.rand(num_rollouts, num_steps, generator=generator).argsort(dim=1)
        return order[:, :num_selected].sort(dim=1).values
    last_start = num_steps - num_selected
    starts = {StepSelection.FIRST: 0, StepSelection.LAST: last_start, StepSelection.WINDOW: start}
    first = starts[selection]
    return torch.arange(first, first + num_selected).expand(num_rollouts, -1)


def window_start(window: WindowConfig, num_steps: int, num_selected: int, step: int, num_training_steps: int) -> int:
    """Gives the first unmasking step of the sliding window (MixGRPO, arXiv 2507.21802).

    With a shift interval the window's start moves by the stride every so many training steps, and from its last place
    back to the first; without one it crosses the trajectory once in the run, step by step.

    Args:
        window: shift interval and stride.
        num_steps: T.
        num_selected: S, the window's size, 1 to T.
        step: the training step, from 0.
        num_training_steps: the run's length; read without a shift interval only.

    Returns:
        In [0, T - S].
    """
    last_start = num_steps - num_selected
    if window.shift_interval is None:
        progress = step / max(1, num_training_steps - 1)
        return min(int(progress * (last_start + 1)), last_start)
    # The last place is the end of the trajectory, also where the stride would pass it by.
    places = [*range(0, last_start, window.stride), last_start]
    return places[step // window.shift_interval % len(places)]


def information_gain(trajectory: Trajectory, embeddings: Tensor) -> Tensor:
    """Says how far each unmasking step brings a rollout's picture towards its end (MaskFocus, arXiv 2512.18766).

        gain_t = cos(e(x_t), e(x_T)) - cos(e(x_t-1), e(x_T))

    where x_t is the whole picture that step t drew, fixed tokens included, and e the embeddings of all its tokens as
    one vector. There is no picture before the first step, so its gain cannot be compared: it comes last.

    Args:
        trajectory: B rollouts of T steps.
        embeddings: (K, D) float, the image tokenizer's vector of each code.

    Returns:
        (B, T) float32 in [-2, 2]; minus infinity at the first step.
    """
    final = torch.nn.functional.normalize(embeddings[trajectory.codes].flatten(1).float(), dim=1)
    similarity = [
        (torch.nn.functional.normalize(embeddings[drawn].flatten(1).float(), dim=1) * final).sum(dim=1)
        for drawn in trajectory.drawn
    ]
    along = torch.stack(similarity, dim=1)
    return torch.nn.functional.pad(along.diff(dim=1), (1, 0), value=-torch.inf)
