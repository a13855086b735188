"""Muon's orthogonal steps."""

import torch

from worker.pretraining.muon import Muon, orthogonalise


def test_singular_values_come_near_1_and_directions_stay() -> None:
    matrices = torch.randn(3, 24, 8, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(matrices)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ result @ right.mT
    off_diagonal = turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))
    assert off_diagonal.abs().max() < 1e-4


def test_wide_matrices_are_treated_as_their_transposes() -> None:
    matrices = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonalise(matrices), orthogonalise(matrices.mT).mT)


def test_a_step_goes_against_the_gradient_by_the_rate() -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = Muon([weight], lr=0.1)
    weight.grad = torch.eye(4)
    optimizer.step()
    # Every singular value of an identity gradient becomes the same number near 1, times the rate.
    assert torch.allclose(weight.detach(), weight.detach()[0, 0] * torch.eye(4), atol=1e-6)
    assert -0.13 < weight[0, 0].item() < -0.06


def test_parameters_without_a_gradient_stay() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 4))
    Muon([weight], lr=0.1).step()
    assert torch.equal(weight.detach(), torch.ones(4, 4))
