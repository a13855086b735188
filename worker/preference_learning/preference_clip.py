"""A CLIP of open_clip's format whose scores have gradients, and how it is written so that the reward's loader reads it.

Knows no votes: pictures and prompts in, scores out.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from backend.schemas.reward import SHIPPED
from worker.rewards.clip_models import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, ClipModel, load_clip, load_open_clip
from worker.rewards.clip_score import CLIP, SHIPPED_CLIP, refuse_unknown
from worker.rewards.preprocessing import prepare
from worker.rewards.weights import first_file, read_json, weights_folder
from worker.shapes.captions import vocabulary

# What lies beside the weights of an open_clip folder and is needed to read it: its words.
_TOKENIZER_FILES = (
    "tokenizer*.json",
    "vocab*.json",
    "vocab*.txt",
    "merges*.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
)


@dataclass(frozen=True, eq=False)
class PreferenceClip:
    """The model in training; its score is the logit scale times the cosine, as PickScore's."""

    clip: ClipModel
    config: dict[str, Any]
    """the content of open_clip_config.json"""
    words_folder: Path | None
    """where the tokenizer's files lie; None = open_clip brings them"""
    words: frozenset[str] | None
    """the only words that the model knows; None = any text"""

    def score(self, pictures: Sequence[Tensor], prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32 scores with gradients.

        Args:
            pictures: B times (3, H, W) in [0, 1], of any sizes.
            prompts: B texts; one that stands several times is encoded once.
        """
        model, device = self.clip.model, next(self.clip.model.parameters()).device
        ready = torch.cat([prepare(each[None], self.clip.preprocessing) for each in pictures]).to(device)
        distinct = list(dict.fromkeys(prompts))
        of_pictures = F.normalize(self.clip.encode_picture(ready).float(), dim=-1)
        of_prompts = F.normalize(self.clip.encode_prompt(self.clip.tokenize(distinct).to(device)).float(), dim=-1)
        own = of_prompts[torch.tensor([distinct.index(prompt) for prompt in prompts], device=device)]
        return model.logit_scale.exp() * (of_pictures * own).sum(dim=-1)  # type: ignore[operator, union-attr]

    def save(self, folder: Path, state: dict[str, Tensor] | None = None) -> None:
        """Write configuration, weights (`state`, or those in hand) and words."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.words_folder is not None:
            for path in (path for pattern in _TOKENIZER_FILES for path in self.words_folder.glob(pattern)):
                shutil.copyfile(path, folder / path.name)
        (folder / OPEN_CLIP_CONFIG).write_text(json.dumps(self.config, indent=1) + "\n")
        weights = self.clip.model.state_dict() if state is None else state
        # Cloned, because safetensors refuses tensors that share memory.
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
        save_file(tensors, folder / OPEN_CLIP_WEIGHTS[0], metadata={"format": "pt"})

    def refuse_unknown(self, prompts: Sequence[str]) -> None:
        """Refuse prompts that the model cannot read.

        Raises:
            ValueError: it knows a few words only, and a prompt has others.
        """
        if self.words is not None:
            refuse_unknown(prompts, self.words)


def load_preference_clip(source: str) -> PreferenceClip:
    """Load the CLIP to tune: shipped, a folder or cached hub name in open_clip's format, or architecture:file.

    Raises:
        ValueError: it cannot be found or read, or is in transformers' format, which the export could not keep.
    """
    if source == SHIPPED:
        return _from_folder(SHIPPED_CLIP, frozenset(vocabulary()))
    if named := re.fullmatch(r"([\w.-]+):(.+)", source):
        clip = load_open_clip(named[1], Path(named[2]).expanduser())
        settings = dict(clip.model.visual.preprocess_cfg)  # type: ignore[union-attr, arg-type]
        config = {"model_cfg": open_clip.get_model_config(named[1]), "preprocess_cfg": settings}
        return PreferenceClip(_unfrozen(clip), config, None, None)
    folder = weights_folder(source, CLIP)
    if not (folder / OPEN_CLIP_CONFIG).is_file():
        raise ValueError(
            f"base is {source!r}, but {folder} holds no {OPEN_CLIP_CONFIG}: a reward model is tuned and kept in "
            "open_clip's format; take an open_clip model, as laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
        )
    return _from_folder(folder, words_of(folder))


def words_of(folder: Path) -> frozenset[str] | None:
    """The only words that an exported CLIP knows, where its configuration names them."""
    named = read_json(folder / OPEN_CLIP_CONFIG).get("known_words")
    return None if named is None else frozenset(named)


def weights_file(source: str) -> Path:
    """The file that holds the weights of a source; a ValueError where there is none."""
    if source == SHIPPED:
        return first_file(SHIPPED_CLIP, OPEN_CLIP_WEIGHTS, CLIP)
    if named := re.fullmatch(r"([\w.-]+):(.+)", source):
        return Path(named[2]).expanduser()
    return first_file(weights_folder(source, CLIP), OPEN_CLIP_WEIGHTS, CLIP)


def _from_folder(folder: Path, words: frozenset[str] | None) -> PreferenceClip:
    config = read_json(folder / OPEN_CLIP_CONFIG)
    if words is not None:
        config["known_words"] = sorted(words)
    return PreferenceClip(_unfrozen(load_clip(folder, CLIP)), config, folder, words)


def _unfrozen(clip: ClipModel) -> ClipModel:
    # Left in evaluation mode: running means of a convolutional tower must not move with batches of a few pairs.
    clip.model.requires_grad_(True)
    return clip
