"""A Show-o of a few ten thousand random weights, for tests: the same classes as the real one, built in milliseconds."""

from collections.abc import Sequence

import torch

from worker.showo.model import Showo, ShowoConfig
from worker.showo.policy import ShowoPolicy
from worker.showo.prompting import build_word_tokenizer
from worker.showo.vq import MagvitV2, VQConfig

WORDS = (
    *("a", "and", "of", "photo", "the", "to", "two", "three", "four", "above", "below", "left", "right"),
    *("blue", "green", "purple", "red", "white", "yellow", "circle", "cross", "square", "star", "triangle"),
)


def tiny_policy(
    seed: int = 0,
    *,
    grid_size: int = 4,
    codebook_bits: int = 4,
    hidden_size: int = 32,
    num_layers: int = 2,
    num_heads: int = 2,
    max_text_tokens: int = 12,
    initializer_range: float = 0.2,
    words: Sequence[str] = WORDS,
) -> ShowoPolicy:
    """Return a policy of random weights over grid_size x grid_size codes, with pictures of 8 pixels a code.

    The wide default initialisation makes its distributions far from uniform, so that tests can tell them apart.
    """
    tokenizer = build_word_tokenizer(words)
    config = ShowoConfig(
        llm_vocab_size=len(tokenizer),
        codebook_size=2**codebook_bits,
        num_image_tokens=grid_size**2,
        max_text_tokens=max_text_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        hidden_size=hidden_size,
        intermediate_size=4 * hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        rope_theta=100.0,
        initializer_range=initializer_range,
    )
    showo = Showo(config)
    showo.initialise(torch.Generator().manual_seed(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        magvit = MagvitV2(tiny_vq_config(grid_size, codebook_bits))
    return ShowoPolicy(showo.eval(), magvit.eval(), tokenizer)


def tiny_vq_config(grid_size: int, codebook_bits: int) -> VQConfig:
    """Return the smallest tokenizer of 8 pixels a code."""
    return VQConfig(
        ch=32,
        decoder_ch_mult=(1, 1, 1, 1),
        decoder_num_res_blocks=(1, 1, 1, 1),
        z_channels=codebook_bits,
        resolution=8 * grid_size,
        patch_strides=(4, 2),
    )
