"""What tuning a reward model needs: a CLIP's sizes from its configuration file, memory and time from these.

Both towers are counted as transformers; a convolutional tower is not, and is said to be unknown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import NotFoundError
from backend.preflight.memory import CUDA_HOLES, FLOAT, HEAP_HOLES, PROCESS_BYTES
from backend.reward_reports import learned_folder
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.preflight import MemoryMoment, MemoryPart, Preflight, PreflightDevice
from backend.schemas.reward_model import RewardModelConfig

CLIP_CONFIG = "open_clip_config.json"
# A block has 12 width^2 weights. It keeps for the backward pass, in widths a token: two norms' inputs and outputs, the
# three of attention and its output, both sides of the inner layer of four widths, and the two sums.
WEIGHTS_A_BLOCK, KEPT_A_BLOCK = 12, 18
# A backward pass costs two forward passes; each weight is a multiplication and an addition a token.
PASSES = 3
USABLE_SHARE = 0.9


@dataclass(frozen=True)
class Tower:
    """A transformer: of pictures or of prompts."""

    width: int
    num_layers: int
    num_tokens: int
    num_embedded: int
    """rows of width numbers before its first layer: patches, positions, words"""

    @property
    def num_parameters(self) -> int:
        """Weights, biases left out."""
        return WEIGHTS_A_BLOCK * self.num_layers * self.width**2 + self.num_embedded * self.width

    @property
    def num_kept(self) -> int:
        """Numbers that one sequence leaves for the backward pass."""
        return KEPT_A_BLOCK * self.num_layers * self.width * self.num_tokens

    @property
    def operations(self) -> float:
        """Of one sequence's forward pass in the blocks."""
        return 2.0 * WEIGHTS_A_BLOCK * self.num_layers * self.width**2 * self.num_tokens


def preflight_reward_model(config: RewardModelConfig, device: PreflightDevice, runs_dir: Path) -> Preflight:
    """The peak of one step and its time on a device.

    Raises:
        NotFoundError: the base's sizes cannot be told.
    """
    pictures, prompts = towers_of(config.base, runs_dir)
    parts = _parts(config, pictures, prompts, device.kind)
    peak = sum(part.num_bytes for part in parts)
    operations = config.tuning.batch_size * (2 * pictures.operations + prompts.operations)
    seconds = PASSES * operations / device.operations_per_second
    memory = device.memory_bytes
    return Preflight(
        device=device,
        parts=tuple(sorted(parts, key=lambda part: -part.num_bytes)),
        moments=(MemoryMoment(name="backward", num_bytes=peak),),
        peak_bytes=peak,
        peak_moment="backward",
        fits=None if memory is None else peak <= USABLE_SHARE * memory,
        seconds_rollout=0.0,
        seconds_update=seconds,
        seconds_a_step=seconds,
        seconds_in_all=seconds * config.num_steps,
        num_steps=config.num_steps,
        changes=(),
        notes=(
            "Time is that of the products in both towers: reading pictures, probes and the last judgement come on top, "
            "which for a small CLIP on a CPU is most of it. Nothing was measured for this kind of run.",
            "Where it does not fit, raise tuning.num_micro_batches: the same gradient in smaller parts.",
        ),
    )


def _parts(config: RewardModelConfig, pictures: Tower, prompts: Tower, kind: str) -> list[MemoryPart]:
    weights = FLOAT * (pictures.num_parameters + prompts.num_parameters)
    part = -(-config.tuning.batch_size // config.tuning.num_micro_batches)
    activations = FLOAT * part * (2 * pictures.num_kept + prompts.num_kept)
    holes = HEAP_HOLES if kind == "cpu" else CUDA_HOLES
    sizes = [
        ("process", PROCESS_BYTES[kind], "Python, torch and libraries; on a GPU its context"),
        ("weights", weights, "of the CLIP, float32"),
        ("gradients", weights, "one number for every weight"),
        ("optimizer", 2 * weights, "AdamW's two moments of every weight"),
        ("activations", activations, "of a micro-batch: two pictures a pair, and its prompts"),
        ("allocator", int(holes * activations), "blocks that the allocator keeps beside the tensors"),
    ]
    if kind == "cpu":
        sizes.append(("best step", weights, "the weights that predict the choosing prompts best"))
    return [MemoryPart(name=name, num_bytes=num_bytes, what=what) for name, num_bytes, what in sizes]


def towers_of(base: str, runs_dir: Path) -> tuple[Tower, Tower]:
    """The towers of pictures and of prompts.

    Raises:
        NotFoundError: the base is no folder with an open_clip configuration of two transformers.
    """
    folder = SHIPPED_POLICY / "clip" if base == "shipped" else learned_folder(base, runs_dir)
    try:
        config: dict[str, Any] = json.loads((folder / CLIP_CONFIG).read_bytes())["model_cfg"]
        vision, text = config["vision_cfg"], config["text_cfg"]
        patch, context = int(vision["patch_size"]), int(text["context_length"])
        num_tokens = (int(vision["image_size"]) // patch) ** 2 + 1
        return (
            Tower(int(vision["width"]), int(vision["layers"]), num_tokens, 3 * patch**2 + num_tokens),
            Tower(int(text["width"]), int(text["layers"]), context, context + int(text["vocab_size"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFoundError(
            f"base is {base!r}, whose sizes cannot be read from {folder / CLIP_CONFIG} ({error!r}): preflight knows "
            "shipped, run:<id>, and folders with an open_clip model of two transformers"
        ) from error
