"""Pictures of a folder or a run as feature vectors, by a CLIP or by InceptionV3, and the name of what made them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from worker.rewards.preprocessing import Preprocessing, prepare
from worker.rewards.weights import fill, read_weights

BATCH_SIZE = 32
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
INCEPTION_HOW = (
    "Download torchvision's https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth and set "
    "reference.inception to that file; or leave it empty for CLIP features"
)
# Google's weights saw pictures in [-1, 1] of 299 pixels; the resizing is clean-fid's: bicubic, with antialiasing.
_INCEPTION = Preprocessing((299, 299), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash", "bicubic")


@dataclass(frozen=True)
class Extractor:
    """What turns (B, 3, H, W) pictures in [0, 1] into (B, D) float32, and how its features are called."""

    name: str
    extract: Callable[[Tensor], Tensor]

    def of_files(self, paths: Sequence[Path], device: torch.device) -> Tensor:
        """(len(paths), D) float32 on the CPU, of pictures of any sizes."""
        return torch.cat([self.extract(batch.to(device)).float().cpu() for batch in read_batches(paths)])


def clip_extractor(source: str) -> Extractor:
    """A CLIP's picture embeddings, of length 1.

    Raises:
        ValueError: it cannot be found or read; the error says what to download.
    """
    # Seconds of import that an evaluation without features does not need.
    from worker.rewards.clip_score import load_clip_score  # noqa: PLC0415

    clip = load_clip_score(source).clip
    return Extractor(f"CLIP {source or 'laion/CLIP-ViT-H-14-laion2B-s32B-b79K'}", clip.embed_pictures)


def inception_extractor(path: Path) -> Extractor:
    """The 2048 numbers after InceptionV3's last pooling.

    Raises:
        ValueError: the file is absent or holds other weights.
    """
    if not path.is_file():
        raise ValueError(f"reference.inception: there is no file {path}. {INCEPTION_HOW}")
    # A second of import that no other benchmark needs.
    from torchvision.models import Inception3  # noqa: PLC0415

    with torch.random.fork_rng(devices=[]):
        network = Inception3(transform_input=False, init_weights=False)
    fill(network, read_weights(path), str(path))
    network.fc = torch.nn.Identity()
    network.eval().requires_grad_(False)

    @torch.inference_mode()
    def extract(pictures: Tensor) -> Tensor:
        return network.to(pictures.device)(prepare(pictures, _INCEPTION))

    return Extractor("InceptionV3 pool3, torchvision's weights", extract)


def pictures_of(folder: Path) -> list[Path]:
    """The pictures in a folder and its sub-folders, in the order of their names.

    Raises:
        ValueError: there is no such folder, or fewer than two pictures.
    """
    if not folder.is_dir():
        raise ValueError(f"reference.folder: there is no folder {folder}: name one with real pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(found) < 2:
        raise ValueError(
            f"reference.folder: {folder} holds {len(found)} pictures ({', '.join(sorted(SUFFIXES))}): FID and KID "
            "need at least 2, and thousands to mean something"
        )
    return found


def read_batches(paths: Sequence[Path]) -> Iterator[Tensor]:
    """Batches of (B, 3, H, W) float32 in [0, 1], in order; pictures of one batch are of one size.

    Raises:
        ValueError: a file is no picture.
    """
    waiting: list[Tensor] = []
    for path in paths:
        picture = read_picture(path)
        if waiting and (len(waiting) == BATCH_SIZE or waiting[0].shape != picture.shape):
            yield torch.stack(waiting)
            waiting = []
        waiting.append(picture)
    if waiting:
        yield torch.stack(waiting)


def read_picture(path: Path) -> Tensor:
    """(3, H, W) float32 in [0, 1].

    Raises:
        ValueError: the file is no picture.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}; remove it or put it back") from error
    return torch.from_numpy(pixels / 255).permute(2, 0, 1)
