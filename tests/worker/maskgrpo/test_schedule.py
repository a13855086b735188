"""The schedule: how many positions each step keeps, and the noise it adds."""

from __future__ import annotations

import itertools

import pytest

from backend.schemas.algorithm import MaskSchedule, TemperatureSchedule
from worker.maskgrpo.schedule import mask_ratio, masked_counts, temperatures


def test_counts_of_a_small_picture_by_hand() -> None:
    # 16 cos(pi/8) = 14.78, 16 cos(pi/4) = 11.31, 16 cos(3 pi/8) = 6.12.
    assert masked_counts(16, 4) == (16, 14, 11, 6, 0)


def test_a_share_that_falls_on_a_whole_count_is_rounded_as_ever() -> None:
    # 64 cos(pi/3) is 32 to the last bit but one: recorded runs have 31 there.
    assert masked_counts(64, 39)[26] == 31


def test_the_other_schedules_by_hand() -> None:
    assert masked_counts(16, 4, MaskSchedule.LINEAR) == (16, 12, 8, 4, 0)
    # 16 (1 - 1/16) = 15, 16 (1 - 1/4) = 12, 16 (1 - 9/16) = 7.
    assert masked_counts(16, 4, MaskSchedule.SQUARE) == (16, 15, 12, 7, 0)
    # sigmoid(3) = .952574, sigmoid(1.5) = .817574: (.952574 - .182426) / .905148 = .850853, 13.61 of 16; half; 2.39.
    assert masked_counts(16, 4, MaskSchedule.SIGMOID) == (16, 13, 8, 2, 0)


@pytest.mark.parametrize("schedule", list(MaskSchedule))
def test_every_schedule_falls_from_all_to_nothing(schedule: MaskSchedule) -> None:
    ratios = [mask_ratio(step, 20, schedule) for step in range(21)]
    assert (ratios[0], ratios[-1]) == pytest.approx((1, 0))
    assert all(before > after for before, after in itertools.pairwise(ratios))


@pytest.mark.parametrize("schedule", list(MaskSchedule))
@pytest.mark.parametrize("num_tokens", [1, 2, 16, 36, 64, 256, 1024])
def test_every_step_keeps_something_and_all_tokens_are_committed(num_tokens: int, schedule: MaskSchedule) -> None:
    for num_steps in range(1, min(num_tokens, 60) + 1):
        counts = masked_counts(num_tokens, num_steps, schedule)
        assert len(counts) == num_steps + 1
        assert (counts[0], counts[-1]) == (num_tokens, 0)
        assert all(before > after for before, after in itertools.pairwise(counts))


def test_as_many_steps_as_tokens_keep_one_each() -> None:
    assert all(masked_counts(num, num) == tuple(range(num, -1, -1)) for num in (1, 2, 3, 4))


@pytest.mark.parametrize("num_steps", [0, 17])
def test_a_number_of_steps_that_cannot_be_is_refused(num_steps: int) -> None:
    with pytest.raises(ValueError, match=f"num_unmasking_steps is {num_steps}, but a picture has 16 tokens"):
        masked_counts(16, num_steps)


def test_compounding_temperatures_multiply_before_use() -> None:
    by_hand = (2 * 0.75, 2 * 0.75 * 0.5, 2 * 0.75 * 0.5 * 0.25, 0.0)
    assert temperatures(2.0, 4, TemperatureSchedule.COMPOUNDING) == pytest.approx(by_hand)


def test_linear_temperatures_fall_evenly() -> None:
    assert temperatures(2.0, 4, TemperatureSchedule.LINEAR) == pytest.approx((1.5, 1.0, 0.5, 0.0))
