"""Resizing, cropping and normalising tensors, against PIL's way of the libraries."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from torchvision.transforms.functional import to_pil_image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tests.worker.rewards.conftest import pictures_of
from worker.rewards.preprocessing import OPENAI_MEAN, OPENAI_STD, Preprocessing, prepare


def pil_way(pictures: torch.Tensor, **settings: Any) -> torch.Tensor:
    transform = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    return torch.stack([transform(to_pil_image(each)) for each in pictures])


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("sides", [(64, 64), (40, 56), (90, 70), (33, 47)])
def test_it_differs_from_open_clip_by_no_more_than_rounding(
    mode: Any, interpolation: Any, sides: tuple[int, int]
) -> None:
    noise = torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(1))
    pictures = ((0.3 * noise + 0.7 * pictures_of(2, 8).mean((2, 3), keepdim=True)) * 255).round() / 255
    ours = prepare(pictures, Preprocessing((48, 48), resize_mode=mode, interpolation=interpolation))
    theirs = pil_way(pictures, size=48, mean=OPENAI_MEAN, std=OPENAI_STD, interpolation=interpolation, resize_mode=mode)
    assert ours.shape == theirs.shape
    # PIL rounds to 8 bits after each of its two passes.
    assert (ours - theirs).abs().max() < 1.6 / 255 / min(OPENAI_STD)


def test_it_differs_from_transformers_by_no_more_than_rounding() -> None:
    pictures = (pictures_of(2, 64) * 255).round() / 255
    processor = CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 40, "width": 40})
    theirs = processor([to_pil_image(each) for each in pictures], return_tensors="pt")["pixel_values"]
    assert (prepare(pictures, Preprocessing((40, 40))) - theirs).abs().max() < 1.6 / 255 / min(OPENAI_STD)


def test_a_picture_of_the_right_size_is_only_normalised() -> None:
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    prepared = prepare(pictures, Preprocessing((32, 32), mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2)))
    expected = (pictures - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / torch.tensor([0.5, 0.25, 0.2])[:, None, None]
    assert torch.equal(prepared, expected)


def test_bicubic_overshoot_stays_a_picture() -> None:
    pictures = torch.zeros(1, 3, 8, 8)
    pictures[..., 4:] = 1
    prepared = prepare(pictures, Preprocessing((32, 32), mean=(0, 0, 0), std=(1, 1, 1)))
    assert prepared.min() >= 0
    assert prepared.max() <= 1


def test_the_means_are_open_clips() -> None:
    assert (OPENAI_MEAN, OPENAI_STD) == (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
