"""Tiny random weights of the true architectures, saved in the published formats."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from worker.rewards.blip import BlipSizes
from worker.rewards.image_reward import ImageRewardNetwork
from worker.rewards.score_head import ScoreHead

TINY_OPEN_CLIP: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
TINY_BLIP = BlipSizes(
    image_size=32,
    patch_size=8,
    vision_width=128,
    vision_layers=2,
    text_width=64,
    text_layers=2,
    text_inner_width=96,
    vocab_size=40,
    max_positions=64,
)
WORD_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *string.ascii_lowercase, *(f"##{each}" for each in "aeorst")]


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """Every parameter drawn anew, norms and biases too, so that a weight in a wrong place changes the score."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            spread = 0.5 if parameter.ndim < 2 else 1.5 / parameter[0].numel() ** 0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            if parameter.ndim == 1:
                parameter.add_(1)
    return module.eval()


def pictures_of(num_pictures: int, side: int = 32, seed: int = 0) -> Tensor:
    """Smooth random pictures in [0, 1]."""
    coarse = torch.rand(num_pictures, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP as open_clip publishes one on the hub."""
    folder = tmp_path_factory.mktemp("open_clip")
    model = randomised(open_clip.CLIP(**TINY_OPEN_CLIP), 1)
    preprocess = {
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.25],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    config = {"model_cfg": TINY_OPEN_CLIP, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def hps_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HPSv2.1: a checkpoint with a state dict in it, beside open_clip's configuration."""
    folder = tmp_path_factory.mktemp("hps")
    model = randomised(open_clip.CLIP(**TINY_OPEN_CLIP), 2)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY_OPEN_CLIP}))
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, folder / "HPS_v2.1_compressed.pt")
    return folder


@pytest.fixture(scope="session")
def transformers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `CLIPModel` as transformers saves it: PickScore's format."""
    folder = tmp_path_factory.mktemp("transformers")
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 49408, "eos_token_id": 49407},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    model = randomised(CLIPModel(config), 3)
    (folder / "config.json").write_text(config.to_json_string())
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def aesthetic_folder(transformers_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LAION's head with dropout's places left free, as published, and a CLIP in clip/."""
    folder = tmp_path_factory.mktemp("aesthetic")
    (folder / "clip").symlink_to(transformers_folder)
    torch.save(randomised(ScoreHead(24), 4).state_dict(), folder / "sac+logos+ava1-l14-linearMSE.pth")
    return folder


@pytest.fixture(scope="session")
def image_reward_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageReward.pt under its published names, with the projections and buffers that it has and nobody uses."""
    folder = tmp_path_factory.mktemp("image_reward")
    weights = dict(randomised(ImageRewardNetwork(TINY_BLIP), 5).state_dict())
    weights["blip.text_encoder.embeddings.position_ids"] = torch.arange(64)[None]
    for name, width in (("vision_proj", 128), ("text_proj", 64)):
        weights |= {f"blip.{name}.weight": torch.zeros(256, width), f"blip.{name}.bias": torch.zeros(256)}
    torch.save(weights, folder / "ImageReward.pt")
    (folder / "vocab.txt").write_text("\n".join(WORD_PIECES) + "\n")
    return folder
