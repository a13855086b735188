"""The tiny CLIP itself: open_clip's own classes, a word-level tokenizer over the small world, and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from backend.schemas.pretraining import ClipStageConfig
from worker.shapes.captions import vocabulary
from worker.shapes.world import CELL, IMAGE_SIZE

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<|startoftext|>", "<|endoftext|>"
CONTEXT_LENGTH = 16
HEAD_SIZE = 32
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)


def build_clip_tokenizer() -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer that marks start and end; the end has the highest id, where CLIP pools."""
    entries = [PAD, UNKNOWN, *vocabulary(), START, END]
    ids = {word: place for place, word in enumerate(entries)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=START, eos_token=END, unk_token=UNKNOWN, pad_token=PAD
    )


def model_config(config: ClipStageConfig, vocab_size: int) -> dict[str, Any]:
    """Return open_clip's own `model_cfg`."""
    return {
        "embed_dim": config.embed_size,
        "vision_cfg": {
            "image_size": IMAGE_SIZE,
            "patch_size": CELL,
            "width": config.width,
            "layers": config.num_layers,
            "head_width": HEAD_SIZE,
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": vocab_size,
            "width": config.width,
            "heads": config.width // HEAD_SIZE,
            "layers": config.num_text_layers,
            "hf_tokenizer_name": ".",
        },
    }


@dataclass(frozen=True, eq=False)
class TinyClip:
    """The model with its tokenizer."""

    model: open_clip.CLIP
    tokenizer: PreTrainedTokenizerFast
    config: dict[str, Any]

    @classmethod
    def new(cls, config: ClipStageConfig, seed: int) -> Self:
        """An untrained one."""
        tokenizer = build_clip_tokenizer()
        sizes = model_config(config, len(tokenizer))
        with torch.random.fork_rng(devices=[]):
            # open_clip draws its first weights from the global generator alone.
            torch.manual_seed(seed)
            model = open_clip.CLIP(**sizes)
        return cls(model, tokenizer, sizes)

    def embed_pictures(self, pictures: Tensor) -> Tensor:
        """Return (B, embed_size) of length 1 for (B, 3, 64, 64) in [0, 1]."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        return F.normalize(self.model.encode_image((pictures - mean) / std), dim=-1)

    def embed_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return (B, embed_size) of length 1."""
        batch = self.tokenizer(
            list(prompts), padding="max_length", max_length=CONTEXT_LENGTH, truncation=True, return_tensors="pt"
        )
        return F.normalize(self.model.encode_text(batch["input_ids"]), dim=-1)

    def score(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) cosines of (B, 3, 64, 64) pictures in [0, 1] and their prompts."""
        return (self.embed_pictures(pictures) * self.embed_prompts(prompts)).sum(dim=-1)

    def save(self, folder: Path) -> None:
        """Write the files that open_clip's `local-dir:` reads: config, weights, tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        preprocess = {
            "size": IMAGE_SIZE,
            "mean": MEAN,
            "std": STD,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        }
        content = {"model_cfg": self.config, "preprocess_cfg": preprocess}
        (folder / "open_clip_config.json").write_text(json.dumps(content, indent=1) + "\n")
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(tensors, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
        self.tokenizer.save_pretrained(folder)
