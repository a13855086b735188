"""KID against sums done by hand, and the same without each part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from worker.benchmarks.distances import jackknifed_mmd, kernel_distance, squared_mmd


def gaussian(mean: float, std: float, number: int, seed: int) -> torch.Tensor:
    return mean + std * torch.randn(number, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_kernels_distance_is_the_sum_done_by_hand() -> None:
    x, y = torch.tensor([[1.0], [2.0]]).double(), torch.tensor([[0.0], [1.0]]).double()
    # Kernel (xy + 1)^3: within x only 1*2 -> 27; within y only 0*1 -> 1; between 1, 8, 1, 27.
    assert float(squared_mmd(x, y)) == pytest.approx(27 + 1 - 2 * (1 + 8 + 1 + 27) / 4)


def test_equal_distributions_have_a_kernel_distance_of_nothing_within_its_error() -> None:
    generator = torch.Generator().manual_seed(5)
    found = kernel_distance(gaussian(0, 1, 2000, 0), gaussian(0, 1, 2000, 1), 100, 200, generator)
    assert abs(found.mean) < 4 * found.standard_error + 0.01
    other = kernel_distance(gaussian(0, 1, 2000, 0), gaussian(1, 1, 2000, 1), 100, 200, generator)
    assert other.mean > 20 * other.standard_error > 0


def test_sets_of_one_are_refused_with_what_is_needed() -> None:
    one, many = torch.zeros(1, 3), torch.zeros(5, 3)
    with pytest.raises(ValueError, match="at least 2 vectors of each set, got 1 and 5"):
        kernel_distance(one, many, 100, 2, torch.Generator())
    with pytest.raises(ValueError, match="at least 2 vectors without any part, got 2 in all"):
        jackknifed_mmd(many[:2], np.array([0, 1]), many)


def test_each_part_is_left_out_of_the_kernels_distance_once() -> None:
    made, real = gaussian(0.5, 1, 600, 2), gaussian(0, 1, 40, 3)
    parts = np.arange(600) % 3
    found = jackknifed_mmd(made, parts, real)

    def distance(rows: torch.Tensor) -> float:
        # What is the reference's alone is left out of both.
        return (
            float(squared_mmd(rows, real))
            - float(squared_mmd(real, real) + 2 * (real @ real.T / 3 + 1).pow(3).mean()) / 2
        )

    assert found.value == pytest.approx(distance(made))
    left = [made[torch.from_numpy(parts != part)] for part in range(3)]
    assert found.without == pytest.approx([distance(each) for each in left])
