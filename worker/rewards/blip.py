"""BLIP's two towers under their published names: a vision transformer, and a BERT that attends to its output.

The structure is BLIP's (arXiv 2201.12086) as ImageReward uses it: no dropout, no pooling, attention in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_SIZE = 64
VISION_EPSILON = 1e-6
TEXT_EPSILON = 1e-12


@dataclass(frozen=True)
class BlipSizes:
    """The sizes of both towers; the defaults are ImageReward's: ViT-L/16 and BERT-base."""

    image_size: int = 224
    patch_size: int = 16
    vision_width: int = 1024
    vision_layers: int = 24
    text_width: int = 768
    text_layers: int = 12
    text_inner_width: int = 3072
    vocab_size: int = 30524
    max_positions: int = 512


class VisionAttention(nn.Module):
    """Self-attention with one projection for query, key and value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> the same shape."""
        query, key, value = (_heads(part) for part in self.qkv(x).chunk(3, dim=-1))
        return self.proj(_joined(F.scaled_dot_product_attention(query, key, value)))


class VisionBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=VISION_EPSILON)
        self.attn = VisionAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=VISION_EPSILON)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class VisionTower(nn.Module):
    """The vision transformer; all its tokens are its output."""

    def __init__(self, sizes: BlipSizes) -> None:
        super().__init__()
        width, patch = sizes.vision_width, sizes.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (sizes.image_size // patch) ** 2 + 1, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, stride=patch)})
        self.blocks = nn.ModuleList(VisionBlock(width) for _ in range(sizes.vision_layers))
        self.norm = nn.LayerNorm(width, eps=VISION_EPSILON)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, image_size, image_size), normalised -> (B, 1 + patches, vision_width)."""
        patches = self.patch_embed["proj"](pictures).flatten(2).mT
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class TextAttention(nn.Module):
    """BERT's attention with its residual and norm; keys and values come from the text itself or from a picture."""

    def __init__(self, width: int, source_width: int) -> None:
        super().__init__()
        self.self = nn.ModuleDict(
            {
                "query": nn.Linear(width, width),
                "key": nn.Linear(source_width, width),
                "value": nn.Linear(source_width, width),
            }
        )
        self.output = _dense_and_norm(width, width)

    def forward(self, x: Tensor, source: Tensor, is_attended: Tensor | None = None) -> Tensor:
        """(B, L, width) with (B, S, source_width) -> (B, L, width); `is_attended` (B, S) is True at real tokens."""
        query = _heads(self.self["query"](x))
        key, value = _heads(self.self["key"](source)), _heads(self.self["value"](source))
        mask = None if is_attended is None else is_attended[:, None, None]
        found = _joined(F.scaled_dot_product_attention(query, key, value, attn_mask=mask))
        return self.output["LayerNorm"](self.output["dense"](found) + x)


class TextLayer(nn.Module):
    """A post-norm BERT layer with attention to a picture between its own attention and its inner layer."""

    def __init__(self, sizes: BlipSizes) -> None:
        super().__init__()
        width = sizes.text_width
        self.attention = TextAttention(width, width)
        self.crossattention = TextAttention(width, sizes.vision_width)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, sizes.text_inner_width)})
        self.output = _dense_and_norm(sizes.text_inner_width, width)

    def forward(self, x: Tensor, picture: Tensor, is_attended: Tensor) -> Tensor:
        """(B, L, text_width) with (B, S, vision_width) -> (B, L, text_width)."""
        x = self.crossattention(self.attention(x, x, is_attended), picture)
        inner = F.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](self.output["dense"](inner) + x)


class TextTower(nn.Module):
    """BERT over word pieces, reading a picture in each of its layers."""

    def __init__(self, sizes: BlipSizes) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(sizes.vocab_size, sizes.text_width),
                "position_embeddings": nn.Embedding(sizes.max_positions, sizes.text_width),
                "LayerNorm": nn.LayerNorm(sizes.text_width, eps=TEXT_EPSILON),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(TextLayer(sizes) for _ in range(sizes.text_layers))})

    def forward(self, ids: Tensor, is_attended: Tensor, picture: Tensor) -> Tensor:
        """(B, L) int64, (B, L) bool and (B, S, vision_width) -> (B, L, text_width)."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.embeddings["word_embeddings"](ids) + self.embeddings["position_embeddings"](places)
        x = self.embeddings["LayerNorm"](x)
        for layer in self.encoder["layer"]:  # type: ignore[union-attr]
            x = layer(x, picture, is_attended)
        return x


def _heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (-1, HEAD_SIZE)).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _dense_and_norm(input_size: int, width: int) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(input_size, width), "LayerNorm": nn.LayerNorm(width, eps=TEXT_EPSILON)})
