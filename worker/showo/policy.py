"""A whole text-to-image policy: transformer, image and text tokenizer behind the few calls that training needs.

It knows no sampling loop, no reward and no files.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from worker.showo.attention import omni_attention_allowed
from worker.showo.model import Prefix, Showo
from worker.showo.prompting import PromptLayout, special_tokens, tokenize
from worker.showo.vq import MagvitV2


class ShowoPolicy(nn.Module):
    """Show-o as a policy over image codes; only the transformer's parameters are trained."""

    def __init__(self, showo: Showo, magvit: MagvitV2, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        config = showo.config
        if config.codebook_size != magvit.config.codebook_size:
            raise ValueError(
                f"the transformer knows {config.codebook_size} image codes, the image tokenizer has "
                f"{magvit.config.codebook_size}; take a pair that was trained together"
            )
        if len(tokenizer) != config.llm_vocab_size:
            raise ValueError(
                f"the text tokenizer has {len(tokenizer)} words, the transformer {config.llm_vocab_size}; "
                "take the tokenizer that the transformer was trained with"
            )
        self.showo = showo
        self.magvit = magvit.requires_grad_(False)
        self.tokenizer = tokenizer
        special = special_tokens(config.llm_vocab_size, config.bos_token_id, config.eos_token_id)
        self.layout = PromptLayout(special, config.max_text_tokens, config.num_image_tokens)

    @property
    def num_image_tokens(self) -> int:
        """N, the codes of one picture."""
        return self.showo.config.num_image_tokens

    @property
    def codebook_size(self) -> int:
        """K, the number of codes; also the code that stands for the mask."""
        return self.showo.config.codebook_size

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.showo.showo.lm_head.weight.device

    def prefix(self, prompts: Sequence[str]) -> Prefix:
        """Read B prompts once; the result serves every unmasking step and, indexed, every member of a group."""
        return self.showo.prefix(self.layout.text_batch(tokenize(self.tokenizer, prompts), self.device))

    def code_logits(self, prefix: Any, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return logits over the codes, by parts: exact, and without what no one reads.

        Args:
            prefix: the `Prefix` of B prompts; opaque to callers, hence untyped here.
            codes: (B, N) int64 in [0, K], K where masked.
            rows: (R,) int64 flat indices into B * N, the only positions wanted; None for all.

        Returns:
            (B, N, K) or (R, K) float32.
        """
        special = self.layout.special
        return self.showo.image_logits(prefix, codes, special.soi, special.eoi, rows).float()

    def image_logits(self, input_ids: Tensor) -> Tensor:
        """Return logits over the codes the published way, the oracle of `code_logits`: dense mask, whole vocabulary.

        Args:
            input_ids: (B, L) int64 whole sequences in Show-o's layout, see `input_ids`; the text block may be of any
                length, since a published configuration does not hold it.

        Returns:
            (B, N, K) float32.

        Raises:
            ValueError: the sequences are too short, or no soi and eoi stand around their N last tokens.
        """
        config = self.showo.config
        layout = self.layout.of_sequences(input_ids)
        logits = self.showo.logits(input_ids, omni_attention_allowed(input_ids, layout))
        columns = slice(config.first_image_id, config.mask_token_id)
        return logits[:, layout.text_block_length + 1 : -1, columns].float()

    def input_ids(self, prompts: Sequence[str], codes: Tensor) -> Tensor:
        """Return (B, L) int64 published sequences of B prompts and (B, N) codes, K where masked."""
        return self.layout.input_ids(tokenize(self.tokenizer, prompts), codes + self.showo.config.first_image_id)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Return (B, N) int64 codes of (B, 3, H, W) float pixels in [0, 1]."""
        return self.magvit.encode(pixels.float() * 2 - 1)

    @torch.no_grad()
    def decode(self, codes: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
        """Return (B, 3, H, W) float32 pixels in [0, 1] of (B, n) int64 codes in [0, K); `shape` as (rows, columns)."""
        return self.magvit.decode(codes, shape).float()
