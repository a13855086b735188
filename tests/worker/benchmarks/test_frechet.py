"""FID against closed forms: moments done by hand, scipy's matrix root, and sets left out one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.figures.jackknife import Jackknifed, parts_of
from tests.worker.benchmarks.gaussians import gaussian_distance
from worker.benchmarks.frechet import Gaussian, frechet_distance, jackknifed_distance


def normal(*shape: int, seed: int, mean: float = 0, std: float = 1) -> Tensor:
    return mean + std * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def crossed(*stds: float) -> Tensor:
    """Vectors of mean 0 whose covariance is diagonal with these deviations: two on each axis."""
    number = 2 * len(stds)
    axes = torch.diag(torch.tensor(stds, dtype=torch.float64) * ((number - 1) / 2) ** 0.5)
    return torch.cat([axes, -axes])


def test_the_distance_of_diagonal_gaussians_is_the_closed_form() -> None:
    reference = Gaussian.of(crossed(3, 1) + torch.tensor([3.0, 4.0]))
    assert torch.allclose(reference.factor @ reference.factor.T, torch.diag(torch.tensor([9.0, 1.0]).double()))
    # |m|^2 + sum (s1 - s2)^2 = 25 + (1 - 3)^2 + (2 - 1)^2.
    assert frechet_distance(crossed(1, 2), reference) == pytest.approx(30)


@pytest.mark.parametrize(("number", "num_real"), [(40, 50), (5, 50), (40, 4), (5, 4)])
def test_any_number_of_vectors_has_the_distance_of_their_moments(number: int, num_real: int) -> None:
    made, real = normal(number, 6, seed=3) @ normal(6, 6, seed=4), normal(num_real, 6, seed=5, mean=0.3)
    wanted = gaussian_distance(made.mean(0), torch.cov(made.T), real.mean(0), torch.cov(real.T))
    # Scipy's root of a singular matrix is exact to half of the digits.
    assert frechet_distance(made, Gaussian.of(real)) == pytest.approx(wanted, rel=1e-4)


def test_samples_of_gaussians_come_near_the_closed_form() -> None:
    found = frechet_distance(normal(40_000, 3, seed=0), Gaussian.of(normal(40_000, 3, seed=1, mean=1, std=2)))
    # Three dimensions of (1)^2 + (2 - 1)^2 each.
    assert found == pytest.approx(6, rel=0.05)


def test_a_set_has_no_distance_to_itself_also_where_its_covariance_has_no_inverse() -> None:
    few = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(few, Gaussian.of(few)) == pytest.approx(0, abs=1e-5)


def test_sets_of_one_are_refused_with_what_is_needed() -> None:
    one, many = torch.zeros(1, 3), torch.zeros(5, 3)
    with pytest.raises(ValueError, match="needs at least 2 vectors, got 1"):
        frechet_distance(one, Gaussian.of(many))
    with pytest.raises(ValueError, match="needs at least 2 vectors, got 1"):
        Gaussian.of(one)
    with pytest.raises(ValueError, match="needs at least 2 vectors, got 1"):
        jackknifed_distance(many[:2], np.array([0, 1]), Gaussian.of(many))


def test_each_part_is_left_out_once() -> None:
    made, reference = normal(12, 4, seed=1), Gaussian.of(normal(30, 4, seed=2))
    parts = np.repeat([0, 2, 1], 4)
    found = jackknifed_distance(made, parts, reference)
    assert found.value == frechet_distance(made, reference)
    left = [made[4:], made[:8], torch.cat([made[:4], made[8:]])]
    assert found.without == pytest.approx([frechet_distance(each, reference) for each in left])


def test_of_a_mean_the_jackknife_is_the_textbooks_standard_error() -> None:
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0])
    found = Jackknifed(values.mean(), np.array([np.delete(values, place).mean() for place in range(6)]))
    assert found.standard_error == pytest.approx(values.std(ddof=1) / 6**0.5)
    assert found.extrapolated == pytest.approx(values.mean()), "a mean is not biased"
    # Student's t of five degrees is 2.5706.
    low, high = found.interval(found.value)
    assert (high - low) / 2 == pytest.approx(2.5706 * found.standard_error, rel=1e-4)


def test_of_a_variance_by_n_the_extrapolation_is_that_by_n_less_one() -> None:
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0])
    found = Jackknifed(values.var(), np.array([np.delete(values, place).var() for place in range(6)]))
    assert found.extrapolated == pytest.approx(values.var(ddof=1))


def test_parts_are_equally_large_and_the_same_for_every_policy() -> None:
    parts = parts_of(553)
    assert set(np.bincount(parts)) == {27, 28}
    assert len(np.bincount(parts)) == 20
    assert (parts == parts_of(553)).all()
    assert not (parts[:20] == np.arange(20)).all(), "prompts of one task stand beside each other"
    assert sorted(parts_of(7)) == list(range(7))
