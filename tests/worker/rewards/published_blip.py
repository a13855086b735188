"""ImageReward by transformers' own BLIP, over PIL: another implementation, with the published names mapped onto it."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
from torchvision.transforms.functional import to_pil_image
from transformers import BlipTextConfig, BlipVisionConfig, BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from worker.rewards.blip import BlipSizes

VISION_NAMES = (
    (r"^cls_token", "embeddings.class_embedding"),
    (r"^pos_embed", "embeddings.position_embedding"),
    (r"^patch_embed\.proj", "embeddings.patch_embedding"),
    (r"^blocks\.(\d+)\.norm1", r"encoder.layers.\1.layer_norm1"),
    (r"^blocks\.(\d+)\.norm2", r"encoder.layers.\1.layer_norm2"),
    (r"^blocks\.(\d+)\.attn\.qkv", r"encoder.layers.\1.self_attn.qkv"),
    (r"^blocks\.(\d+)\.attn\.proj", r"encoder.layers.\1.self_attn.projection"),
    (r"^blocks\.(\d+)\.mlp", r"encoder.layers.\1.mlp"),
    (r"^norm\.", "post_layernorm."),
)


@torch.no_grad()
def published_scores(folder: Path, sizes: BlipSizes, pictures: Tensor, prompts: list[str]) -> Tensor:
    """(B,) float32."""
    weights = torch.load(folder / "ImageReward.pt")
    vision, text = _towers(sizes, weights)
    resize = Resize(sizes.image_size, InterpolationMode.BICUBIC)
    normalise = Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    transform = Compose([resize, CenterCrop(sizes.image_size), ToTensor(), normalise])
    seen = vision(torch.stack([transform(to_pil_image(each)) for each in pictures])).last_hidden_state
    ids = torch.tensor([_ids(folder, prompt) for prompt in prompts])
    read = text(
        ids,
        attention_mask=(ids != 0).long(),
        encoder_hidden_states=seen,
        encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
        is_decoder=False,
    ).last_hidden_state
    x = read[:, 0]
    for place in (0, 2, 4, 6, 7):
        x = F.linear(x, weights[f"mlp.layers.{place}.weight"], weights[f"mlp.layers.{place}.bias"])
    return (x[:, 0] - 0.16717362830052426) / 1.0333394966054072


def _towers(sizes: BlipSizes, weights: dict[str, Tensor]) -> tuple[BlipVisionModel, BlipTextModel]:
    vision = BlipVisionModel(
        BlipVisionConfig(
            hidden_size=sizes.vision_width,
            intermediate_size=4 * sizes.vision_width,
            num_hidden_layers=sizes.vision_layers,
            num_attention_heads=sizes.vision_width // 64,
            image_size=sizes.image_size,
            patch_size=sizes.patch_size,
            layer_norm_eps=1e-6,
        )
    ).eval()
    text = BlipTextModel(
        BlipTextConfig(
            vocab_size=sizes.vocab_size,
            hidden_size=sizes.text_width,
            encoder_hidden_size=sizes.vision_width,
            intermediate_size=sizes.text_inner_width,
            num_hidden_layers=sizes.text_layers,
            num_attention_heads=sizes.text_width // 64,
            max_position_embeddings=sizes.max_positions,
        ),
        add_pooling_layer=False,
    ).eval()
    vision.load_state_dict({_renamed(name): each for name, each in _under("blip.visual_encoder.", weights).items()})
    text.load_state_dict(_under("blip.text_encoder.", weights), strict=False)
    return vision, text


def _ids(folder: Path, prompt: str) -> list[int]:
    """Word pieces by hand, greedy and longest first, as BERT's are; padded to 35."""
    words = {word: place for place, word in enumerate((folder / "vocab.txt").read_text().split())}
    ids = [words["[CLS]"]]
    for word in prompt.split():
        pieces, start = [], 0
        while start < len(word):
            ends = [end for end in range(len(word), start, -1) if ("##" if start else "") + word[start:end] in words]
            if not ends:
                pieces = [words["[UNK]"]]
                break
            pieces.append(words[("##" if start else "") + word[start : ends[0]]])
            start = ends[0]
        ids += pieces
    return [*ids, words["[SEP]"]] + [0] * (34 - len(ids))


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}


def _renamed(name: str) -> str:
    for pattern, replacement in VISION_NAMES:
        name = re.sub(pattern, replacement, name)
    return name
