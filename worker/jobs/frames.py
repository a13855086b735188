"""Decodes the unmasking frames of one stored sample, as its job would have: with the run's own image tokenizer.

A tokenizer is frozen while a policy is trained, so that of any policy of the run makes the same pictures.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.samples.files import frames_path
from backend.schemas.every_run import BaseRunConfig, PolicyConfig
from backend.schemas.picture_runs import EvaluateConfig
from worker.jobs.checkpoints import checkpoint_path, saved_steps
from worker.jobs.pictures import MAX_STRIP_PIXELS, NUM_FRAME_COLOURS, frame_strips, to_png
from worker.jobs.policies import EXPORTED_POLICY, START_POLICY, policy_folder
from worker.showo.loading import PUBLISHED_VQ, load_vq
from worker.showo.lora import base_of, is_adapter
from worker.showo.sources import is_hub_name
from worker.showo.vq import MagvitV2

_TOKENIZER = "vq"
# At once: 32 frames of the tiny Show-o, 2 of the real one at 512 pixels, which then fit into 2 GB.
_TOKENS_AT_ONCE = 2048


def write_frames(
    folder: RunFolder,
    tokenizer: str | Path,
    image_path: str,
    trajectory_path: str,
    index: int,
    tell: Callable[[int], None],
) -> str:
    """Decodes and writes the strip of a sample's frames, whole or not at all.

    Args:
        folder: the run's folder.
        tokenizer: where the image tokenizer is, see `find_tokenizer`.
        image_path: the sample's picture in the run's folder.
        trajectory_path: its group's trajectories there.
        index: its place in the group.
        tell: is called with the number of frames that are decoded so far.

    Returns:
        The SHA-256 of the file.

    Raises:
        ValueError: when tokenizer and trajectory do not belong together, or one of them is broken.
        OSError: when a file is missing, or the disk is full.
    """
    # The cores are the runs'.
    torch.set_num_threads(1)
    drawn, unmasked_at, grid = _read(folder.read(trajectory_path), index)
    config = Path(tokenizer) / "config.json"
    magvit = _load(tokenizer, config.stat().st_mtime_ns if config.is_file() else 0)
    size = magvit.config.codebook_size
    highest = int(drawn.max())
    if highest >= size:
        raise ValueError(
            f"the trajectory holds the code {highest}, but the image tokenizer {tokenizer} has {size} codes: "
            "put the tokenizer back that the run was started with"
        )
    num_pixels = drawn.numel() * magvit.config.patch_size**2
    if num_pixels > MAX_STRIP_PIXELS:
        raise ValueError(
            f"{len(drawn)} frames of {grid[0]} x {grid[1]} cells have {num_pixels:,} pixels, at most "
            f"{MAX_STRIP_PIXELS:,} are decoded: fewer extensions or unmasking steps make fewer"
        )
    strips = frame_strips(lambda codes: _decode(magvit, codes, grid, tell), drawn, unmasked_at, grid)
    return folder.write(frames_path(image_path), to_png(strips[0], NUM_FRAME_COLOURS))


def find_tokenizer(config: BaseRunConfig, folder: RunFolder, policy: str) -> str | Path:
    """The image tokenizer that made a group's pictures: a folder, or a hub name.

    Args:
        config: the run's configuration.
        folder: the run's folder.
        policy: the group's policy; an evaluation has pictures of two.

    Raises:
        ValueError: when no policy is left that has it.
    """
    own = _kept_tokenizer(folder)
    if own is not None:
        return own
    source = _source_of(config, policy).source
    if source.startswith("run:"):
        # Any policy of that run serves, also where the named checkpoint is gone by now.
        other = _kept_tokenizer(RunFolder(folder.root.parent / source.removeprefix("run:").partition("@")[0]))
        if other is not None:
            return other
    home = policy_folder(source, folder)
    if is_adapter(home):
        home = base_of(home)
    if (home / _TOKENIZER).is_dir():
        return home / _TOKENIZER
    if is_hub_name(home):
        return PUBLISHED_VQ
    raise ValueError(
        f"there is no image tokenizer at {home / _TOKENIZER}, where the run's policy.source {source!r} had it: "
        "put it back"
    )


def _source_of(config: BaseRunConfig, policy: str) -> PolicyConfig:
    return config.candidates.get(policy, config.policy) if isinstance(config, EvaluateConfig) else config.policy


def _kept_tokenizer(folder: RunFolder) -> Path | None:
    """The tokenizer of a policy that lies in a run's own folder."""
    checkpoints = [f"{checkpoint_path(step)}/policy" for step in reversed(saved_steps(folder))]
    for policy in (START_POLICY, EXPORTED_POLICY, *checkpoints):
        tokenizer = folder.path(policy) / _TOKENIZER
        if tokenizer.is_dir():
            return tokenizer
    return None


def _read(trajectory: bytes, index: int) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """(T, 1, N) and (1, N) int64: what one rollout of a stored group drew at each step, when it was kept; its grid."""
    with np.load(io.BytesIO(trajectory), allow_pickle=False) as arrays:
        drawn, unmasked_at = arrays["drawn"][:, [index]], arrays["unmasked_at"][[index]]
        rows, columns = (int(size) for size in arrays["grid"])
    return torch.from_numpy(drawn.astype(np.int64)), torch.from_numpy(unmasked_at.astype(np.int64)), (rows, columns)


@lru_cache(maxsize=1)
def _load(tokenizer: str | Path, changed_at: int) -> MagvitV2:
    """The tokenizer, kept for the next sample; `changed_at` tells another one in its place."""
    return load_vq(tokenizer)


@torch.no_grad()
def _decode(magvit: MagvitV2, codes: Tensor, grid: tuple[int, int], tell: Callable[[int], None]) -> Tensor:
    """(B, 3, H, W) float32 pictures of (B, N) codes on a grid, a few at once."""
    pictures: list[Tensor] = []
    for part in codes.split(max(1, _TOKENS_AT_ONCE // codes.shape[1])):
        pictures.append(magvit.decode(part, grid).float())
        tell(sum(map(len, pictures)))
    return torch.cat(pictures)
