"""The sizes of a policy, read from its config.json files, and how many parameters they make. No weights, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from backend.errors import NotFoundError
from backend.reward_models.known import hub_folder
from backend.runs.policies import language_folders

# Padding and the nine tokens that Show-o adds between the words and the image codes.
_NUM_NEW_TOKENS = 10
# The language model of every published Show-o: its files are needed for the words, its sizes are known.
_PHI_1_5 = "microsoft/phi-1_5"
_PHI_1_5_SIZES: Mapping[str, int] = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
}


@dataclass(frozen=True)
class TokenizerSizes:
    """The image tokenizer; the defaults are the published MAGVIT-v2."""

    channels: int = 128
    encoder_multiples: tuple[int, ...] = (1, 2, 2, 4, 4)
    encoder_blocks: tuple[int, ...] = (4, 3, 4, 3, 4)
    decoder_multiples: tuple[int, ...] = (1, 1, 2, 2, 4)
    decoder_blocks: tuple[int, ...] = (4, 4, 3, 4, 3)
    num_bits: int = 13
    patch_strides: tuple[int, ...] = ()
    """strides of the small world's patch encoder; empty for the published one"""

    @property
    def patch_size(self) -> int:
        """Pixels a side that one token stands for."""
        return 1 << (len(self.decoder_multiples) - 1)

    @property
    def num_parameters(self) -> int:
        """Learned numbers of encoder and decoder, and the fixed corners of the code's cube."""
        cube = (1 << self.num_bits) * self.num_bits + self.num_bits
        return self._num_encoder() + self._num_decoder() + cube

    def _num_encoder(self) -> int:
        to_bits = _conv(self.num_bits, self.num_bits, 1)
        if self.patch_strides:
            widths = [3, *[2 * self.channels] * len(self.patch_strides)]
            strided = (_conv(a, b, s) for (a, b), s in zip(pairwise(widths), self.patch_strides, strict=True))
            return sum(strided) + _conv(widths[-1], widths[-1], 1) + _conv(widths[-1], self.num_bits, 1)
        widths = [self.channels * multiple for multiple in (1, *self.encoder_multiples)]
        levels = sum(
            _level(widths[i], widths[i + 1], blocks, is_last=i == len(widths) - 2)
            for i, blocks in enumerate(self.encoder_blocks)
        )
        ends = _conv(3, self.channels, 3) + 2 * widths[-1] + _conv(widths[-1], self.num_bits, 3)
        return levels + _middle(widths[-1]) + ends + to_bits

    def _num_decoder(self) -> int:
        widths = [self.channels * each for each in (*self.decoder_multiples, self.decoder_multiples[-1])]
        levels = sum(
            _level(widths[i + 1], widths[i], blocks, is_last=i == 0) for i, blocks in enumerate(self.decoder_blocks)
        )
        ends = _conv(self.num_bits, widths[-1], 3) + 2 * widths[0] + _conv(widths[0], 3, 3)
        return levels + _middle(widths[-1]) + ends + _conv(self.num_bits, self.num_bits, 1)


@dataclass(frozen=True)
class PolicySizes:
    """A Show-o and its image tokenizer; the defaults are the published 512 px model."""

    hidden_size: int = 2048
    intermediate_size: int = 8192
    num_layers: int = 24
    num_heads: int = 32
    num_words: int = 50295
    codebook_size: int = 8192
    num_image_tokens: int = 1024
    max_text_tokens: int = 128
    tokenizer: TokenizerSizes = field(default_factory=TokenizerSizes)

    @property
    def vocab_size(self) -> int:
        """Words, special tokens, image codes and the mask."""
        return self.num_words + _NUM_NEW_TOKENS + self.codebook_size + 1

    @property
    def num_layer_parameters(self) -> int:
        """Learned numbers of one layer."""
        h, f, d = self.hidden_size, self.intermediate_size, self.hidden_size // self.num_heads
        return 4 * (h * h + h) + 4 * d + 2 * h * f + f + h + 2 * h

    @property
    def num_transformer_parameters(self) -> int:
        """Learned numbers of the transformer: embedding, layers, last norm, head."""
        h, v = self.hidden_size, self.vocab_size
        return v * h + self.num_layers * self.num_layer_parameters + 2 * h + v * h + v

    @property
    def picture_side(self) -> int:
        """Pixels a side of the square picture."""
        return int(self.num_image_tokens**0.5) * self.tokenizer.patch_size


PUBLISHED: Mapping[str, PolicySizes] = {
    "showlab/show-o": PolicySizes(num_image_tokens=256),
    "showlab/show-o-512x512": PolicySizes(),
}
"""What the published checkpoints measure, so that an estimate needs no download."""


def read_sizes(folder: Path, *, is_from_hub: bool = False) -> PolicySizes:
    """Reads the sizes of a policy folder in Show-o's published format.

    Args:
        folder: the policy's.
        is_from_hub: a policy from there without an image tokenizer inside has the published one.

    Raises:
        NotFoundError: a file is missing, or a size in it is missing or no number; it names the folder and the cure.
    """
    own = _read(folder / "config.json")
    llm = _language_model(folder, own)
    has_published_vq = is_from_hub and not (folder / "vq").is_dir()
    vq = {} if has_published_vq else _read(folder / "vq" / "config.json")
    try:
        longest = own.get("max_text_tokens")
        return PolicySizes(
            hidden_size=_count(llm, "hidden_size"),
            intermediate_size=_count(llm, "intermediate_size"),
            num_layers=_count(llm, "num_hidden_layers"),
            num_heads=_count(llm, "num_attention_heads"),
            num_words=_count(own, "llm_vocab_size"),
            codebook_size=_count(own, "codebook_size"),
            num_image_tokens=_count(own, "num_vq_tokens"),
            max_text_tokens=PolicySizes.max_text_tokens if longest is None else _count(own, "max_text_tokens"),
            tokenizer=_tokenizer_sizes(vq),
        )
    except (ValueError, TypeError) as error:
        raise NotFoundError(
            f"the policy in {folder} has a size that is none ({error}): copy its config.json files anew"
        ) from error
    except KeyError as error:
        raise NotFoundError(
            f"the policy in {folder} does not say its {error.args[0]}: copy its config.json files anew"
        ) from error


def _count(content: Mapping[str, Any], name: str) -> int:
    return _as_count(content[name], name)


def _as_count(value: object, name: str) -> int:
    # The small world's tokenizer has levels without a block.
    least = 0 if name.endswith("num_res_blocks") else 1
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r} instead of a whole number, {least} or more")
    return value


def _language_model(folder: Path, own: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of the language model, found as the worker finds it."""
    fetched = hub_folder(str(own.get("llm_model_path", "llm")))
    folders = [*language_folders(folder, own), *([fetched] if fetched else [])]
    paths = [each / "config.json" for each in folders]
    found = next((path for path in paths if path.is_file()), None)
    if found is None and own.get("llm_model_path") == _PHI_1_5:
        return _PHI_1_5_SIZES
    return _read(found or paths[0])


def _tokenizer_sizes(config: Mapping[str, Any]) -> TokenizerSizes:
    default = TokenizerSizes()

    def one(name: str, otherwise: int) -> int:
        return _as_count(config.get(name, otherwise), name)

    def several(name: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(_as_count(each, name) for each in config.get(name, otherwise))

    return TokenizerSizes(
        channels=one("ch", default.channels),
        encoder_multiples=several("encoder_ch_mult", default.encoder_multiples),
        encoder_blocks=several("encoder_num_res_blocks", default.encoder_blocks),
        decoder_multiples=several("decoder_ch_mult", default.decoder_multiples),
        decoder_blocks=several("decoder_num_res_blocks", default.decoder_blocks),
        num_bits=one("z_channels", default.num_bits),
        patch_strides=several("patch_strides", default.patch_strides),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise NotFoundError(
            f"the policy's sizes cannot be read from {path} ({error}): give a folder in Show-o's published format"
        ) from error
    if not isinstance(content, dict):
        raise NotFoundError(f"{path} holds no JSON object: copy it anew from where the model came from")
    return content


def _conv(in_channels: int, out_channels: int, side: int) -> int:
    return in_channels * out_channels * side * side + out_channels


def _block(in_channels: int, out_channels: int) -> int:
    """Two norms, two convolutions and, where the width changes, a third one beside them."""
    main = (
        2 * in_channels + _conv(in_channels, out_channels, 3) + 2 * out_channels + _conv(out_channels, out_channels, 3)
    )
    return main + (_conv(in_channels, out_channels, 1) if in_channels != out_channels else 0)


def _level(in_channels: int, out_channels: int, num_blocks: int, *, is_last: bool) -> int:
    widths = [in_channels, *[out_channels] * num_blocks]
    return sum(_block(a, b) for a, b in pairwise(widths)) + (0 if is_last else _conv(out_channels, out_channels, 3))


def _middle(channels: int) -> int:
    return 2 * _block(channels, channels) + 2 * channels + 4 * _conv(channels, channels, 1)
