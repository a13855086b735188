"""A Show-o of middle size and random weights: large enough that time goes where the real one's goes, small enough for a
CPU. It has the real vocabulary of 58,498, 256 image tokens, and a third of the layers at a quarter of the width."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from backend.preflight.sizes import PolicySizes, TokenizerSizes
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import WORDS, tiny_policy, tiny_vq_config

NUM_WORDS = 50295
CODEBOOK_BITS = 13
# The tokenizer's own two words come on top: end of text and unknown.
NUM_OWN_WORDS = 2


@dataclass(frozen=True)
class Middle:
    """The sizes that make time and memory; the defaults are the middle size, `--quick` makes it shallower."""

    hidden_size: int = 512
    num_layers: int = 8
    grid_size: int = 16
    num_words: int = NUM_WORDS
    codebook_bits: int = CODEBOOK_BITS

    @property
    def sizes(self) -> PolicySizes:
        """The same as the preflight's arithmetic reads it."""
        vq = tiny_vq_config(self.grid_size, self.codebook_bits)
        return PolicySizes(
            hidden_size=self.hidden_size,
            intermediate_size=4 * self.hidden_size,
            num_layers=self.num_layers,
            num_heads=self.hidden_size // 64,
            num_words=self.num_words,
            codebook_size=2**self.codebook_bits,
            num_image_tokens=self.grid_size**2,
            tokenizer=TokenizerSizes(
                channels=vq.ch,
                decoder_multiples=vq.decoder_ch_mult,
                decoder_blocks=vq.decoder_num_res_blocks,
                num_bits=vq.z_channels,
                patch_strides=vq.patch_strides,
            ),
        )


def middle_policy(middle: Middle, device: torch.device | str = "cpu") -> ShowoPolicy:
    """Random weights, drawn as Phi draws them, so that its distributions are wide and every draw matters."""
    fillers = (f"word{number:05d}" for number in range(middle.num_words - len(WORDS) - NUM_OWN_WORDS))
    policy = tiny_policy(
        grid_size=middle.grid_size,
        codebook_bits=middle.codebook_bits,
        hidden_size=middle.hidden_size,
        num_layers=middle.num_layers,
        num_heads=middle.hidden_size // 64,
        max_text_tokens=128,
        initializer_range=0.02,
        words=[*WORDS, *fillers],
    )
    return policy.to(device)


def prompts_of(num_prompts: int) -> list[str]:
    """Distinct prompts of about the length that people write, a dozen words."""
    colours = ("red", "green", "blue", "white", "yellow", "purple")
    return [
        f"a photo of two {colours[number % 6]} squares to the left of a {colours[number // 6 % 6]} star"
        for number in range(num_prompts)
    ]
