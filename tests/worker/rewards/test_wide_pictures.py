"""HPSv2.1 on pictures that are not square: all of them counts, as in its authors' own scoring code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from tests.worker.rewards.conftest import TINY_OPEN_CLIP, pictures_of
from worker.rewards import clip_score
from worker.rewards.clip_score import load_hps

PROMPTS = ["a red fox", "the sea"]
TINY = "tiny-hps"


@pytest.fixture
def bare(hps_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HPSv2.1's checkpoint without any configuration, of an architecture that open_clip knows by name."""
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / f"{TINY}.json").write_text(json.dumps(TINY_OPEN_CLIP))
    known = dict(open_clip.factory._MODEL_CONFIGS)
    open_clip.add_model_config(tmp_path / "architectures")
    monkeypatch.setattr(clip_score, "HPS_ARCHITECTURE", TINY)
    shutil.copy(hps_folder / "HPS_v2.1_compressed.pt", tmp_path)
    yield tmp_path / "HPS_v2.1_compressed.pt"
    open_clip.factory._MODEL_CONFIGS.clear()
    open_clip.factory._MODEL_CONFIGS.update(known)


def wide_pictures() -> Tensor:
    """(2, 3, 32, 64), whose outer quarters a crop of the middle would lose; of 8 bits."""
    return (torch.cat([pictures_of(2, seed=1), pictures_of(2, seed=2)], dim=-1) * 255).round() / 255


@torch.no_grad()
def published(weights: Path, pictures: Tensor) -> Tensor:
    """Scores the way of hpsv2/img_score.py: open_clip's transform with the longest side resized, over PIL."""
    model = open_clip.create_model(TINY, load_weights=False)
    model.load_state_dict(torch.load(weights, weights_only=True)["state_dict"])
    transform = open_clip.image_transform(32, is_train=False, resize_mode="longest")
    images = torch.stack([transform(to_pil_image(each)) for each in pictures])
    features = model.eval().encode_image(images, normalize=True)
    return (features * model.encode_text(open_clip.get_tokenizer(TINY)(PROMPTS), normalize=True)).sum(dim=-1)


def test_a_wide_picture_scores_as_in_the_authors_code(bare: Path) -> None:
    pictures = wide_pictures()
    torch.testing.assert_close(load_hps(str(bare))(pictures, PROMPTS), published(bare, pictures), atol=0.02, rtol=0)


def test_the_outer_parts_of_a_wide_picture_count(bare: Path) -> None:
    reward, pictures = load_hps(str(bare)), wide_pictures()
    darkened = pictures.clone()
    darkened[..., :14] = 0
    assert (reward(pictures, PROMPTS) - reward(darkened, PROMPTS)).abs().min() > 1e-3


def test_a_configuration_beside_the_checkpoint_decides(hps_folder: Path) -> None:
    assert load_hps(str(hps_folder)).clip.preprocessing.resize_mode == "shortest"
