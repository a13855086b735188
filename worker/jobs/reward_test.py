"""One picture against rewards: scores, how they hold when the picture is bent, and how long they take."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageChops, ImageFilter, ImageOps
from torch import Tensor

from backend.artifacts import RunFolder, write_atomically
from backend.reward_tests.folder import CLAIM, PICTURE, RewardTestFolder
from backend.schemas.reward import RewardConfig
from backend.schemas.reward_test import VARIANTS, RewardAnswer, RewardTestResult, VariantScore
from worker.jobs.reward_sources import with_folders
from worker.rewards.build import build_reward

_NUM_TIMED = 3


def answered(folder: RewardTestFolder, runs_dir: Path) -> RewardTestResult:
    """Writes the bent pictures and asks each reward in turn; what one cannot do stops none of the others."""
    request = folder.request
    with Image.open(folder.path / PICTURE) as opened:
        picture = opened.convert("RGB")
    pictures = [picture]
    for name in VARIANTS:
        bent = BENDINGS[name](picture)
        buffer = io.BytesIO()
        bent.save(buffer, format="PNG")
        write_atomically(folder.path / f"{name}.png", buffer.getvalue())
        pictures.append(bent)
    batch = torch.stack([_as_tensor(each) for each in pictures])
    beside = RunFolder(runs_dir / "reward-test")  # Learned rewards lie beside it, as beside any run.
    rewards = []
    for reward in request.rewards:
        folder.mark(CLAIM)
        rewards.append(_tested(reward, batch, request.prompt, beside))
    return RewardTestResult(device=f"cpu, {torch.get_num_threads()} threads", rewards=tuple(rewards))


def _tested(reward: RewardConfig, batch: Tensor, prompt: str, beside: RunFolder) -> RewardAnswer:
    try:
        return _asked(reward, batch, prompt, beside)
    except (ValueError, OSError) as error:
        return RewardAnswer(name=reward.name, source=reward.source, score=None, error=str(error))
    except Exception as error:
        # Broad, since the others are still to be asked, and a person waits.
        return RewardAnswer(
            name=reward.name, source=reward.source, score=None, error=f"{type(error).__name__}: {error}"
        )


def _asked(reward: RewardConfig, batch: Tensor, prompt: str, beside: RunFolder) -> RewardAnswer:
    began = time.perf_counter()
    function = build_reward(with_folders((reward.model_copy(update={"weight": 1.0}),), beside))
    first = function(batch[:1], [prompt])
    load_seconds = time.perf_counter() - began
    taken = []
    for _ in range(_NUM_TIMED):
        began = time.perf_counter()
        function(batch[:1], [prompt])
        taken.append((time.perf_counter() - began) * 1000)
    score = float(first.breakdown[str(reward.name)][0])
    bent = function(batch[1:], [prompt] * (len(batch) - 1)).breakdown[str(reward.name)].tolist()
    return RewardAnswer(
        name=reward.name,
        source=reward.source,
        score=score,
        variants=tuple(VariantScore(variant=name, score=each) for name, each in zip(VARIANTS, bent, strict=True)),
        largest_change=max(abs(each - score) for each in bent),
        milliseconds=statistics.median(taken),
        load_seconds=load_seconds,
    )


def _as_tensor(picture: Image.Image) -> Tensor:
    """(3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as opened:
        return opened.convert("RGB")


def _cropped(picture: Image.Image, share: float) -> Image.Image:
    """The middle, enlarged to the picture's own size."""
    width, height = picture.size
    left, top = width * (1 - share) / 2, height * (1 - share) / 2
    box = (left, top, width - left, height - top)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)


def _moved(picture: Image.Image) -> Image.Image:
    """Moved right and down; what leaves on one side comes in on the other."""
    return ImageChops.offset(picture, max(1, picture.width // 32), max(1, picture.height // 32))


BENDINGS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg_90": lambda picture: _as_jpeg(picture, 90),
    "jpeg_50": lambda picture: _as_jpeg(picture, 50),
    "crop_90": lambda picture: _cropped(picture, 0.9),
    "flip": ImageOps.mirror,
    "shift": _moved,
    "blur": lambda picture: picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 128)),
}
