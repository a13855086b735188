"""Diversity of drawn pictures whose distances are known."""

from __future__ import annotations

import pytest
import torch

from worker.benchmarks.diversity import diversity


def test_the_distances_are_means_over_all_pairs() -> None:
    features = torch.tensor([[1.0, 0], [0, 2], [-3, 0]])
    pictures = torch.stack([torch.full((3, 4, 4), value) for value in (0.0, 0.5, 1.0)])
    found = diversity(features, pictures, 1.5)
    # Cosine distances 1, 2, 1; pixel distances .5, 1, .5; two of three are below 1.5.
    assert found.cosine_distance == pytest.approx(4 / 3)
    assert found.pixel_distance == pytest.approx(2 / 3)
    assert found.near_duplicates == pytest.approx(2 / 3)


def test_equal_pictures_are_near_duplicates_and_have_no_diversity() -> None:
    features = torch.rand(1, 8, generator=torch.Generator().manual_seed(0)).expand(4, 8)
    found = diversity(features, torch.full((4, 3, 8, 8), 0.3), 0.01)
    assert found.cosine_distance == pytest.approx(0, abs=1e-12)
    assert (found.pixel_distance, found.near_duplicates) == (0, 1)


def test_one_picture_has_nobody_to_differ_from() -> None:
    with pytest.raises(ValueError, match="set samples_per_prompt to 2 or more"):
        diversity(torch.zeros(1, 2), torch.zeros(1, 3, 2, 2), 0.1)
