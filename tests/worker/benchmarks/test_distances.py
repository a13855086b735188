"""FID and KID against closed forms: Gaussians of known mean and covariance, sums done by hand."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import sqrtm

from worker.benchmarks.distances import frechet_distance, gaussian_distance, kernel_distance, squared_mmd


def gaussian(mean: float, std: float, number: int, seed: int) -> torch.Tensor:
    return mean + std * torch.randn(number, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_distance_of_diagonal_gaussians_is_the_closed_form() -> None:
    one, two = torch.tensor([1.0, 4.0]).double(), torch.tensor([9.0, 1.0]).double()
    found = gaussian_distance(
        torch.zeros(2).double(), torch.diag(one), torch.tensor([3.0, 4.0]).double(), torch.diag(two)
    )
    # |m|^2 + sum (s1 - s2)^2 = 25 + (1 - 3)^2 + (2 - 1)^2.
    assert found == pytest.approx(30)


def test_the_distance_of_any_gaussians_is_that_of_scipys_matrix_root() -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = (torch.randn(6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    first, second = a @ a.T, b @ b.T
    zero = torch.zeros(6, dtype=torch.float64)
    root = sqrtm(first.numpy() @ second.numpy()).real
    wanted = float(first.trace() + second.trace() - 2 * root.trace())
    assert gaussian_distance(zero, first, zero, second) == pytest.approx(wanted)


def test_samples_of_gaussians_come_near_the_closed_form() -> None:
    found = frechet_distance(gaussian(0, 1, 40_000, 0), gaussian(1, 2, 40_000, 1))
    # Three dimensions of (1)^2 + (2 - 1)^2 each.
    assert found == pytest.approx(6, rel=0.05)


def test_a_set_has_no_distance_to_itself_also_where_its_covariance_has_no_inverse() -> None:
    few = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)


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
    with pytest.raises(ValueError, match="needs at least 2"):
        frechet_distance(one, many)
    with pytest.raises(ValueError, match="at least 2 vectors of each set, got 1 and 5"):
        kernel_distance(one, many, 100, 2, torch.Generator())
