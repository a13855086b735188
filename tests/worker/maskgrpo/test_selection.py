"""Which unmasking steps enter the loss."""

from __future__ import annotations

import pytest
import torch

from backend.schemas.algorithm import StepSelection
from backend.schemas.objective import WindowConfig
from worker.maskgrpo.selection import information_gain, selected_steps, window_start
from worker.maskgrpo.types import Trajectory


def select(selection: StepSelection, num_selected: int = 3, start: int = 0, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return selected_steps(selection, 8, num_selected, 5, start, generator).tolist()


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
    chosen = selected_steps(StepSelection.RANDOM, 8, 3, 8000, 0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.bincount(chosen.flatten()) / 8000, torch.full((8,), 3 / 8), atol=0.02, rtol=0)


def test_the_window_begins_where_it_stands() -> None:
    assert select(StepSelection.WINDOW, start=4) == [[4, 5, 6]] * 5


def test_without_a_shift_interval_the_window_crosses_the_trajectory_once() -> None:
    starts = [window_start(WindowConfig(), 8, 3, step, 101) for step in (0, 25, 50, 75, 100)]
    assert starts == [0, 1, 3, 4, 5]


def test_the_window_shifts_by_its_stride_every_interval_and_starts_anew() -> None:
    # MixGRPO's size 4 with interval 25: places 0 to 6 of ten steps.
    starts = [window_start(WindowConfig(shift_interval=25), 10, 4, step, 7) for step in (0, 24, 25, 149, 150, 174, 175)]
    assert starts == [0, 0, 1, 5, 6, 6, 0]
    by_three = WindowConfig(shift_interval=1, stride=4)
    assert [window_start(by_three, 10, 4, step, 7) for step in range(5)] == [0, 4, 6, 0, 4]


def test_the_gain_of_a_step_is_how_much_nearer_its_picture_is_to_the_last_by_hand() -> None:
    # Three steps of two tokens with vectors (1, 0), (0, 1) and (-1, 0); cosines to the last picture 0, 1/2 and 1.
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    drawn = torch.tensor([[[1, 1]], [[0, 1]], [[0, 0]]])
    unread = torch.zeros(3, 1, 2)
    trajectory = Trajectory(
        codes=drawn[2],
        unmasked_at=torch.tensor([[1, 2]]),
        drawn=drawn,
        confidence=unread,
        entropy=unread,
        log_prob=unread[..., 0],
        token_log_prob=unread,
        order=torch.zeros(1, 2, dtype=torch.int64),
        temperature=torch.zeros(3),
    )
    torch.testing.assert_close(information_gain(trajectory, embeddings), torch.tensor([[-torch.inf, 0.5, 0.5]]))


def test_information_takes_each_rollout_s_own_greatest_gains_in_order_and_the_earlier_of_equal_ones() -> None:
    gain = torch.tensor([[-torch.inf, 0.1, -0.3, 0.4], [-torch.inf, 0.2, 0.2, 0.2]])
    chosen = selected_steps(StepSelection.INFORMATION, 4, 2, 2, 0, torch.Generator(), gain)
    assert chosen.tolist() == [[1, 3], [1, 2]]


@pytest.mark.parametrize("num_selected", [0, 9])
def test_more_steps_than_there_are_is_refused(num_selected: int) -> None:
    with pytest.raises(ValueError, match=f"num_selected_steps is {num_selected}"):
        select(StepSelection.RANDOM, num_selected)
