"""Writes what a step made: pictures, unmasking frames, trajectories. It knows files and tensors."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from backend.artifacts import RunFolder
from worker.maskgrpo.types import Policy

MASKED_GREY = 0.4
NUM_FRAME_COLOURS = 64
MAX_STRIP_PIXELS = 40_000_000
"""that one sample's frames may have together; those of pictures that grew far are covered, not decoded"""


class Unmasking(Protocol):
    """What is stored of B pictures that were unmasked in T steps: a `Trajectory`, or the `Growth` of larger ones."""

    @property
    def codes(self) -> Tensor: ...

    @property
    def unmasked_at(self) -> Tensor: ...

    @property
    def drawn(self) -> Tensor: ...

    @property
    def confidence(self) -> Tensor: ...

    @property
    def entropy(self) -> Tensor: ...

    @property
    def log_prob(self) -> Tensor: ...


@dataclass(frozen=True)
class Place:
    """Where a group's files lie: `<kind>/<step>[-purpose]/<group>`."""

    step: int
    purpose: str
    """empty for the groups of training, else what the pictures are for"""
    group: int

    def path(self, kind: str, suffix: str) -> str:
        """A path in the run's folder, as samples/000012/003-05.png."""
        step = f"{self.step:06d}-{self.purpose}" if self.purpose else f"{self.step:06d}"
        return f"{kind}/{step}/{self.group:03d}{suffix}"


@dataclass(frozen=True)
class WrittenPictures:
    """What was written for a group."""

    image_paths: tuple[str, ...]
    image_hashes: tuple[str, ...]
    trajectory_path: str | None


def write_group(
    folder: RunFolder,
    place: Place,
    policy: Policy,
    pictures: Tensor,
    trajectory: Unmasking,
    transition: str,
    framed: Sequence[int],
    grid: tuple[int, int] | None = None,
) -> WrittenPictures:
    """Writes a group's pictures and trajectories, and the unmasking frames of some of its samples.

    Args:
        folder: the run's folder.
        place: where in it.
        policy: decodes the frames.
        pictures: (G, 3, H, W) float32 in [0, 1].
        trajectory: of the G rollouts.
        transition: the definition that `trajectory.log_prob` follows.
        framed: places in the group of the samples that get frames: to decode all T steps of all would cost more
            than to train on them. What an earlier attempt left of the others is removed: it may show other pictures.
        grid: rows and columns of the pictures' codes; None for the policy's own square.

    Raises:
        OSError: when the disk is full or cannot be written.
    """
    paths, hashes = write_pictures(folder, place, pictures)
    framed = framed if fits_a_strip(pictures, trajectory.drawn.shape[0]) else ()
    for index in framed:
        drawn, unmasked_at = trajectory.drawn[:, [index]].long(), trajectory.unmasked_at[[index]]
        (strip,) = frame_strips(decoder(policy, grid), drawn, unmasked_at, grid)
        _write(folder, place.path("frames", f"-{index:02d}.png"), to_png(strip, NUM_FRAME_COLOURS))
    for index in set(range(len(pictures))).difference(framed):
        folder.path(place.path("frames", f"-{index:02d}.png")).unlink(missing_ok=True)
    trajectory_path = place.path("trajectories", ".npz")
    window_side = grid_of(policy.num_image_tokens)[0] if grid else None
    _write(folder, trajectory_path, to_npz(trajectory, policy.codebook_size, transition, grid, window_side))
    return WrittenPictures(paths, hashes, trajectory_path)


def write_pictures(folder: RunFolder, place: Place, pictures: Tensor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Writes (B, 3, H, W) float32 pictures in [0, 1]; gives their paths and hashes."""
    paths = tuple(place.path("samples", f"-{index:02d}.png") for index in range(len(pictures)))
    hashes = tuple(
        _write(folder, path, to_png(picture)) for path, picture in zip(paths, to_bytes(pictures), strict=True)
    )
    return paths, hashes


def to_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """(B, 3, H, W) float32 in [0, 1] -> (B, H, W, 3) uint8."""
    scaled = (pictures.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    array: NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).cpu().numpy()
    return array


def to_png(picture: NDArray[np.uint8], num_colours: int | None = None) -> bytes:
    """(H, W, 3) uint8 -> a PNG file; with few colours it is a third as large and shows the same to the eye."""
    image = Image.fromarray(picture)
    if num_colours is not None:
        image = image.quantize(num_colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decoder(policy: Policy, grid: tuple[int, int] | None) -> Callable[[Tensor], Tensor]:
    """How a policy decodes codes of a grid; None for its own square, the only one that every policy has."""
    return policy.decode if grid is None else lambda codes: policy.decode(codes.to(policy.device), grid)


def fits_a_strip(pictures: Tensor, num_steps: int) -> bool:
    """Whether the frames of one of (B, 3, H, W) pictures, side by side, stay within `MAX_STRIP_PIXELS`."""
    return pictures.shape[-2] * pictures.shape[-1] * num_steps <= MAX_STRIP_PIXELS


@torch.no_grad()
def frame_strips(
    decode: Callable[[Tensor], Tensor], drawn: Tensor, unmasked_at: Tensor, grid: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """The picture after each unmasking step, side by side; what is still masked is grey.

    Args:
        decode: (B, N) int64 codes -> (B, 3, H, W) float32 pictures in [0, 1], as a policy does.
        drawn: (T, G, N) int64, as in `Trajectory`.
        unmasked_at: (G, N) int64, likewise.
        grid: rows and columns of the N codes; None for a square.

    Returns:
        (G, H, T*W, 3) uint8.
    """
    num_steps, num_samples, num_tokens = drawn.shape
    pictures = decode(drawn.reshape(num_steps * num_samples, num_tokens))
    pictures = pictures.unflatten(0, (num_steps, num_samples))
    is_masked = torch.stack([unmasked_at > step for step in range(num_steps)]).to(pictures.device)
    rows, columns = grid or grid_of(num_tokens)
    cells = is_masked.reshape(num_steps, num_samples, 1, rows, columns)
    height, width = pictures.shape[-2:]
    cells = cells.repeat_interleave(height // rows, dim=-2).repeat_interleave(width // columns, dim=-1)
    frames = torch.where(cells, MASKED_GREY, pictures)
    strips = frames.permute(1, 2, 3, 0, 4).reshape(num_samples, 3, height, num_steps * width)
    return to_bytes(strips)


def to_npz(
    trajectory: Unmasking,
    codebook_size: int,
    transition: str,
    grid: tuple[int, int] | None = None,
    window_side: int | None = None,
) -> bytes:
    """The trajectories as a compressed npz without pickled parts; see docs/architecture.md for its arrays."""
    code_type = np.int16 if codebook_size <= np.iinfo(np.int16).max else np.int32
    buffer = io.BytesIO()
    grown = {} if window_side is None else {"window_side": np.array(window_side, dtype=np.int32)}
    np.savez_compressed(
        buffer,
        codes=_array(trajectory.codes).astype(code_type),
        unmasked_at=_array(trajectory.unmasked_at).astype(np.int16),
        drawn=_array(trajectory.drawn).astype(code_type),
        confidence=_array(trajectory.confidence).astype(np.float16),
        entropy=_array(trajectory.entropy).astype(np.float16),
        log_prob=_array(trajectory.log_prob).astype(np.float32),
        grid=np.array(grid or grid_of(trajectory.codes.shape[1]), dtype=np.int32),
        codebook_size=np.array(codebook_size, dtype=np.int32),
        transition=np.array(transition),
        **grown,
    )
    return buffer.getvalue()


def grid_of(num_tokens: int) -> tuple[int, int]:
    """Rows and columns of a square token grid."""
    side = round(num_tokens**0.5)
    assert side * side == num_tokens, f"{num_tokens} tokens make no square"
    return side, side


def _write(folder: RunFolder, relative: str, content: bytes) -> str:
    """Writes a file whole or not at all, however the process dies, and gives its SHA-256.

    The disk is synced by the checkpoint that makes the step count, once for hundreds of small files.
    """
    path = folder.path(relative)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return hashlib.sha256(content).hexdigest()


def _array(tensor: Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = tensor.detach().cpu().numpy()
    return array
