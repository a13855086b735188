"""Which unmasking steps enter the loss."""

from __future__ import annotations

import pytest
import torch

from backend.schemas.algorithm import StepSelection
from worker.maskgrpo.selection import selected_steps


def select(selection: StepSelection, num_selected: int = 3, progress: float = 0.0, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return selected_steps(selection, 8, num_selected, 5, progress, generator).tolist()


def test_all_takes_every_step_whatever_the_number() -> None:
    assert select(StepSelection.ALL, num_selected=200) == [list(range(8))] * 5


def test_first_and_last() -> None:
    assert select(StepSelection.FIRST) == [[0, 1, 2]] * 5
    assert select(StepSelection.LAST) == [[5, 6, 7]] * 5


def test_random_gives_each_rollout_its_own_distinct_steps_by_the_generator() -> None:
    chosen = select(StepSelection.RANDOM)
    assert all(row == sorted(set(row)) and len(row) == 3 for row in chosen)
    assert len({tuple(row) for row in chosen}) > 1
    assert chosen == select(StepSelection.RANDOM)
    assert chosen != select(StepSelection.RANDOM, seed=1)


def test_random_takes_every_step_equally_often() -> None:
    chosen = selected_steps(StepSelection.RANDOM, 8, 3, 8000, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.bincount(chosen.flatten()) / 8000, torch.full((8,), 3 / 8), atol=0.02, rtol=0)


def test_the_window_slides_from_the_first_to_the_last_steps() -> None:
    starts = [select(StepSelection.WINDOW, progress=progress)[0][0] for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert starts == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("num_selected", [0, 9])
def test_more_steps_than_there_are_is_refused(num_selected: int) -> None:
    with pytest.raises(ValueError, match=f"num_selected_steps is {num_selected}"):
        select(StepSelection.RANDOM, num_selected)
