"""The image tokenizer after MAGVIT-v2: a convolutional encoder and decoder around a look-up-free quantiser.

Parameter names and layer order are the published ones. It knows pixels and codes, no text and no transformer.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class VQConfig:
    """Sizes of the tokenizer; the defaults are the published model (16-fold, 13 bits)."""

    ch: int = 128
    """channels at full resolution, a multiple of 32"""
    encoder_ch_mult: tuple[int, ...] = (1, 2, 2, 4, 4)
    encoder_num_res_blocks: tuple[int, ...] = (4, 3, 4, 3, 4)
    decoder_ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    decoder_num_res_blocks: tuple[int, ...] = (4, 4, 3, 4, 3)
    z_channels: int = 13
    """bits of a code"""
    resolution: int = 256
    """pixels a side of the pictures it was trained on"""
    patch_strides: tuple[int, ...] = ()
    """strides of an encoder that never looks beyond its own patch; empty for the published, overlapping one"""

    @property
    def codebook_size(self) -> int:
        """Number of codes."""
        return 2**self.z_channels

    @property
    def patch_size(self) -> int:
        """Pixels a side of the square that one code stands for."""
        return 2 ** (len(self.decoder_ch_mult) - 1)

    @property
    def grid_size(self) -> int:
        """Codes a side of a picture of the training resolution."""
        return self.resolution // self.patch_size


def group_norm(channels: int) -> nn.GroupNorm:
    """Return the norm used throughout: 32 groups, eps 1e-6."""
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.changes_width = in_channels != out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H, W)."""
        inner = self.conv1(F.silu(self.norm1(x)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        return (self.nin_shortcut(x) if self.changes_width else x) + inner


class AttentionBlock(nn.Module):
    """Single-head attention over all places of a feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        normed = self.norm(x)
        places = [part(normed).flatten(2).transpose(1, 2)[:, None] for part in (self.q, self.k, self.v)]
        attended = F.scaled_dot_product_attention(*places)[:, 0]
        return x + self.proj_out(attended.transpose(1, 2).reshape(x.shape))


class Middle(nn.Module):
    """The lowest resolution: block, attention, block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels)
        self.attn_1 = AttentionBlock(channels)
        self.block_2 = ResBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    """Halve the resolution; the padding lies right and below, as published."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H/2, W/2)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The blocks of one resolution and, except at the last one, the way to the next."""

    def __init__(self, in_channels: int, out_channels: int, num_blocks: int, way: type[nn.Module] | None) -> None:
        super().__init__()
        widths = [in_channels, *[out_channels] * num_blocks]
        self.block = nn.ModuleList(ResBlock(a, b) for a, b in pairwise(widths))
        if way is not None:
            self.add_module("downsample" if way is Downsample else "upsample", way(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H', W')."""
        for block in self.block:
            x = block(x)
        for name in ("downsample", "upsample"):
            x = getattr(self, name)(x) if hasattr(self, name) else x
        return x


class Encoder(nn.Module):
    """The published encoder: each code sees a wide, overlapping surrounding."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        widths = [config.ch * mult for mult in (1, *config.encoder_ch_mult)]
        last = len(config.encoder_ch_mult) - 1
        self.conv_in = nn.Conv2d(3, config.ch, 3, padding=1)
        self.down = nn.ModuleList(
            Level(widths[i], widths[i + 1], num_blocks, Downsample if i < last else None)
            for i, num_blocks in enumerate(config.encoder_num_res_blocks)
        )
        self.mid = Middle(widths[-1])
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.z_channels, 3, padding=1)
        self.quant_conv = nn.Conv2d(config.z_channels, config.z_channels, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, 3, H, W) pixels in [-1, 1] to (B, bits, h, w) latents."""
        x = self.conv_in(pixels)
        for level in self.down:
            x = level(x)
        return self.quant_conv(self.conv_out(F.silu(self.norm_out(self.mid(x)))))


class PatchEncoder(nn.Module):
    """An encoder whose strided convolutions never look beyond the patch: equal patches get equal codes."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        widths = [3, *[config.ch * 2] * len(config.patch_strides)]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, stride, stride=stride)
            for a, b, stride in zip(widths, widths[1:], config.patch_strides, strict=False)
        )
        self.hidden = nn.Conv2d(widths[-1], widths[-1], 1)
        self.quant_conv = nn.Conv2d(widths[-1], config.z_channels, 1)

    def features(self, pixels: Tensor) -> Tensor:
        """Map (B, 3, H, W) pixels in [-1, 1] to (B, C, h, w), what the last layer makes the latents of."""
        x = pixels
        for conv in self.down:
            x = F.silu(conv(x))
        return F.silu(self.hidden(x))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (B, 3, H, W) pixels in [-1, 1] to (B, bits, h, w) latents."""
        return self.quant_conv(self.features(pixels))


class Decoder(nn.Module):
    """The published decoder."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        widths = [config.ch * mult for mult in (*config.decoder_ch_mult, config.decoder_ch_mult[-1])]
        self.post_quant_conv = nn.Conv2d(config.z_channels, config.z_channels, 1)
        self.conv_in = nn.Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList(
            Level(widths[i + 1], widths[i], num_blocks, Upsample if i > 0 else None)
            for i, num_blocks in enumerate(config.decoder_num_res_blocks)
        )
        self.norm_out = group_norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, bits: Tensor) -> Tensor:
        """Map (B, bits, h, w) entries of +-1 to (B, 3, H, W) pixels around [-1, 1]."""
        x = self.mid(self.conv_in(self.post_quant_conv(bits)))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Quantizer(nn.Module):
    """Look-up-free quantisation: a latent's signs are its code, the most significant bit first."""

    embedding: Tensor
    power_vals: Tensor

    def __init__(self, num_bits: int) -> None:
        super().__init__()
        power_vals = 2 ** torch.arange(num_bits - 1, -1, -1)
        bits = (torch.arange(2**num_bits)[:, None] & power_vals) > 0
        self.register_buffer("power_vals", power_vals)
        self.register_buffer("embedding", bits.float() * 2 - 1)

    def codes(self, latents: Tensor) -> Tensor:
        """Return (B, h*w) int64 codes in [0, 2**bits) of (B, bits, h, w) latents."""
        bits = (latents > 0).long() * self.power_vals[:, None, None]
        return bits.sum(dim=1).flatten(1)

    def bits(self, codes: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return (B, bits, h, w) entries of +-1 of (B, h*w) codes on a grid of h rows and w columns."""
        return self.embedding[codes].unflatten(1, shape).permute(0, 3, 1, 2)


class MagvitV2(nn.Module):
    """Pixels to codes and back."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PatchEncoder(config) if config.patch_strides else Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = Quantizer(config.z_channels)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the codes of pictures.

        Args:
            pixels: (B, 3, H, W) float in [-1, 1]; H and W multiples of the patch size, 16 in the published model.

        Returns:
            (B, h*w) int64 in [0, codebook_size), row by row.

        Raises:
            ValueError: a side is no multiple of the patch size.
        """
        height, width = pixels.shape[-2:]
        if height % self.config.patch_size or width % self.config.patch_size:
            raise ValueError(
                f"pictures of {width} x {height} pixels: crop or resize both sides to a multiple of "
                f"{self.config.patch_size}, the pixels of one code"
            )
        codes: Tensor = self.quantize.codes(self.encoder(pixels.to(self.quantize.embedding.dtype)))
        return codes

    def decode(self, codes: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
        """Return the pictures of codes.

        Args:
            codes: (B, n) int64 in [0, codebook_size).
            shape: rows and columns of the grid; None for a square.

        Returns:
            (B, 3, H, W) float in [0, 1].

        Raises:
            ValueError: the codes do not fill the grid, or are none of the codebook's.
        """
        side = math.isqrt(codes.shape[1])
        height, width = shape or (side, side)
        if height * width != codes.shape[1]:
            raise ValueError(f"{codes.shape[1]} codes do not fill a grid of {height} rows and {width} columns")
        num_codes = self.config.codebook_size  # without this, code -1 would be the last one, and no error
        if bool(((codes < 0) | (codes >= num_codes)).any()):
            low, high = int(codes.min()), int(codes.max())
            raise ValueError(f"codes from {low} to {high}: give those of 0 to {num_codes - 1}, with no cell masked")
        pixels = self.decoder(self.quantize.bits(codes, (height, width)))
        return ((pixels + 1) / 2).clamp(0, 1)
