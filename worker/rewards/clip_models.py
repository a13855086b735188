"""CLIP models in the two published formats, open_clip's and transformers', as one thing: embeddings of length 1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.rewards.preprocessing import OPENAI_MEAN, OPENAI_STD, Preprocessing, prepare
from worker.rewards.weights import Published, fill, first_file, read_json, read_weights, staying_offline

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pt",
)
TRANSFORMERS_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class ClipModel:
    """A CLIP, frozen, whichever its format. It follows the pictures to their device."""

    model: nn.Module
    preprocessing: Preprocessing
    tokenize: Callable[[list[str]], Tensor]
    encode_picture: Callable[[Tensor], Tensor]
    encode_prompt: Callable[[Tensor], Tensor]

    @property
    def logit_scale(self) -> float:
        """The factor that turns cosines into logits."""
        return float(self.model.logit_scale.detach().exp())  # type: ignore[operator, union-attr]

    @torch.inference_mode()
    def embed_pictures(self, pictures: Tensor) -> Tensor:
        """Return (B, D) float32 of length 1 for (B, 3, H, W) pictures in [0, 1], of any size."""
        self.model.to(pictures.device)
        dtype = next(self.model.parameters()).dtype
        parts = [
            self.encode_picture(prepare(part, self.preprocessing).to(dtype))
            for part in pictures.float().split(BATCH_SIZE)
        ]
        return F.normalize(torch.cat(parts).float(), dim=-1)

    @torch.inference_mode()
    def embed_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return (B, D) float32 of length 1; a prompt that stands several times is encoded once."""
        distinct = list(dict.fromkeys(prompts))
        device = next(self.model.parameters()).device
        parts = [self.encode_prompt(ids) for ids in self.tokenize(distinct).to(device).split(BATCH_SIZE)]
        embeddings = F.normalize(torch.cat(parts).float(), dim=-1)
        return embeddings[[distinct.index(prompt) for prompt in prompts]]

    def cosines(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32, each picture with its own prompt."""
        of_pictures = self.embed_pictures(pictures)
        return (of_pictures * self.embed_prompts(prompts)).sum(dim=-1)


def load_clip(folder: Path, published: Published) -> ClipModel:
    """Load a CLIP from a folder in open_clip's format, or else in transformers'.

    Raises:
        ValueError: files are missing or broken, or their names and shapes are not the model's.
    """
    if (folder / OPEN_CLIP_CONFIG).is_file():
        return load_open_clip(folder, first_file(folder, OPEN_CLIP_WEIGHTS, published))
    if (folder / "config.json").is_file():
        return load_transformers_clip(folder, first_file(folder, TRANSFORMERS_WEIGHTS, published))
    raise published.missing(f"finds neither {OPEN_CLIP_CONFIG} nor config.json in {folder}")


def load_open_clip(architecture: str | Path, weights: Path) -> ClipModel:
    """Load weights into one of open_clip's architectures, by name or from a folder with its configuration.

    Raises:
        ValueError: open_clip does not know the architecture, or the weights are not this model's.
    """
    name = f"local-dir:{architecture}" if isinstance(architecture, Path) else architecture
    if isinstance(architecture, str) and open_clip.get_model_config(architecture) is None:
        known = ", ".join(each for each in open_clip.list_models() if each.split("-")[0] == architecture.split("-")[0])
        raise ValueError(f"open_clip knows no architecture {architecture!r}; near it: {known or 'none'}")
    try:
        # The first weights are drawn from the global generator, which is not ours to move.
        with torch.random.fork_rng(devices=[]), _quiet(), staying_offline():
            model = open_clip.create_model(name, load_weights=False)
            tokenizer = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"open_clip cannot build {architecture}: {error}") from error
    fill(model, read_weights(weights), str(weights))
    return ClipModel(
        model=_frozen(model),
        preprocessing=_open_clip_preprocessing(model.visual.preprocess_cfg),
        tokenize=tokenizer,
        encode_picture=model.encode_image,
        encode_prompt=model.encode_text,
    )


def load_transformers_clip(folder: Path, weights: Path) -> ClipModel:
    """Load a `CLIPModel` of transformers; its words are CLIP's own, which come with open_clip.

    Raises:
        ValueError: the configuration is no CLIP's, or the weights are not this model's.
    """
    from transformers import CLIPConfig, CLIPModel  # noqa: PLC0415 - a second of import that open_clip does not need.

    content = read_json(folder / "config.json")
    if content.get("model_type") != "clip":
        raise ValueError(f"{folder / 'config.json'} is of a {content.get('model_type')!r}, not of a 'clip'")
    config = CLIPConfig.from_dict(content)
    with torch.random.fork_rng(devices=[]):
        model = CLIPModel(config)
    fill(model, read_weights(weights), str(weights))
    return ClipModel(
        model=_frozen(model),
        preprocessing=_transformers_preprocessing(folder, config.vision_config.image_size),
        tokenize=open_clip.SimpleTokenizer(context_length=config.text_config.max_position_embeddings),
        encode_picture=lambda pictures: model.get_image_features(pixel_values=pictures).pooler_output,
        encode_prompt=lambda ids: model.get_text_features(input_ids=ids).pooler_output,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """open_clip warns that the model is random; it is, until the next line fills it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _frozen(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False)


def _open_clip_preprocessing(content: dict[str, Any]) -> Preprocessing:
    size = content["size"]
    return Preprocessing(
        size=(size, size) if isinstance(size, int) else tuple(size),
        mean=tuple(content["mean"]),
        std=tuple(content["std"]),
        resize_mode=content.get("resize_mode") or "shortest",
        interpolation=content.get("interpolation") or "bicubic",
    )


def _transformers_preprocessing(folder: Path, image_size: int) -> Preprocessing:
    path = folder / "preprocessor_config.json"
    content = read_json(path) if path.is_file() else {}
    return Preprocessing(
        size=(image_size, image_size),
        mean=tuple(content.get("image_mean", OPENAI_MEAN)),
        std=tuple(content.get("image_std", OPENAI_STD)),
    )
