"""LAION's aesthetic predictor (sac+logos+ava1-l14-linearMSE): a small head on CLIP ViT-L/14's picture embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worker.rewards.clip_models import ClipModel, load_clip
from worker.rewards.score_head import ScoreHead
from worker.rewards.weights import Published, fill, first_file, read_weights, weights_folder

AESTHETIC = Published(
    "aesthetic",
    "Its folder must hold sac+logos+ava1-l14-linearMSE.pth (from github.com/christophschuhmann/improved-aesthetic-"
    "predictor) and, in clip/, OpenAI's ViT-L/14 (`hf download openai/clip-vit-large-patch14 --local-dir DIR/clip`); "
    "set its source to that folder",
)
HEAD_FILES = ("sac+logos+ava1-l14-linearMSE.pth", "sac+logos+ava1-l14-linearMSE.safetensors")


@dataclass(frozen=True, eq=False)
class Aesthetic:
    """How pleasing people would find a picture, about 1 to 10; the prompt is not looked at."""

    clip: ClipModel
    head: nn.Module

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32 for (B, 3, H, W) pictures in [0, 1]."""
        self.head.to(pictures.device)
        return self.head(self.clip.embed_pictures(pictures))[:, 0]


def load_aesthetic(source: str) -> Aesthetic:
    """Load head and CLIP from a folder.

    Raises:
        ValueError: files are missing, broken, or do not fit each other; the error says what to download.
    """
    folder = weights_folder(source, AESTHETIC)
    path = first_file(folder, HEAD_FILES, AESTHETIC)
    clip = load_clip(folder / "clip", AESTHETIC)
    weights = read_weights(path)
    head = ScoreHead(_embed_size(clip))
    fill(head, weights, str(path))
    return Aesthetic(clip, head.eval().requires_grad_(False))


def _embed_size(clip: ClipModel) -> int:
    side = clip.preprocessing.size
    return clip.embed_pictures(torch.zeros(1, 3, *side)).shape[1]
