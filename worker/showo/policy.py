"""A whole text-to-image policy: transformer, image and text tokenizer behind the few calls that training needs.

It knows no sampling loop, no reward and no files.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from worker.showo.attention import omni_attention_allowed
from worker.showo.model import Prefix, Showo, ShowoConfig
from worker.showo.prompting import PromptLayout, special_tokens, tokenize, vocabulary_problems
from worker.showo.vq import MagvitV2, VQConfig

DECODED_NUMBERS = 1 << 26
"""numbers in a feature map of the pictures that are decoded at once: two of 512 pixels a side, 512 of the tiny ones"""
NO_TEXT_TOKENIZER = "this policy has no text tokenizer, so it cannot read prompts: load it with its language model's"
NO_IMAGE_TOKENIZER = "this policy has no image tokenizer, so it cannot encode or decode pictures: load it with one"


def pairing_problems(config: ShowoConfig, vq: VQConfig | None, tokenizer: PreTrainedTokenizerFast | None) -> list[str]:
    """Return a sentence for each part that does not belong to a transformer of these sizes."""
    problems = []
    if vq is not None and config.codebook_size != vq.codebook_size:
        problems.append(
            f"the transformer knows {config.codebook_size} image codes, the image tokenizer has "
            f"{vq.codebook_size}; take a pair that was trained together"
        )
    if tokenizer is not None:
        problems.extend(vocabulary_problems(tokenizer, config.llm_vocab_size))
    return problems


class ShowoPolicy(nn.Module):
    """Show-o as a policy over image codes; only the transformer's parameters are trained.

    Without an image or text tokenizer it serves ids and codes, and says what is missing when it is asked for more.
    """

    def __init__(
        self,
        showo: Showo,
        magvit: MagvitV2 | None = None,
        tokenizer: PreTrainedTokenizerFast | None = None,
        *,
        projector: nn.Module | None = None,
        no_text_tokenizer: str = NO_TEXT_TOKENIZER,
        no_image_tokenizer: str = NO_IMAGE_TOKENIZER,
    ) -> None:
        """Put the parts together.

        Args:
            showo: the transformer.
            magvit: the image tokenizer.
            tokenizer: the text tokenizer.
            projector: of a `w_clip_vit` model, from CLIP's features; never used here, kept for export.
            no_text_tokenizer: what is missing and where to put it, for whoever asks for a prompt.
            no_image_tokenizer: the same, for whoever asks for pixels.

        Raises:
            ValueError: the parts do not belong together.
        """
        super().__init__()
        config = showo.config
        if problems := pairing_problems(config, magvit.config if magvit else None, tokenizer):
            raise ValueError("; ".join(problems))
        self.showo = showo
        self.magvit = None if magvit is None else magvit.requires_grad_(False)
        self.tokenizer = tokenizer
        self.mm_projector = None if projector is None else projector.requires_grad_(False)
        self._no_text_tokenizer, self._no_image_tokenizer = no_text_tokenizer, no_image_tokenizer
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
        return self.showo.prefix(self.layout.text_batch(self._tokenize(prompts), self.device))

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
        return self.layout.input_ids(self._tokenize(prompts), codes + self.showo.config.first_image_id)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Return (B, n) int64 codes of (B, 3, H, W) float pixels in [0, 1], row by row of the grid."""
        return self._image_tokenizer().encode(pixels.float() * 2 - 1)

    @torch.no_grad()
    def decode(self, codes: Tensor, shape: tuple[int, int] | None = None) -> Tensor:
        """Return (B, 3, H, W) float32 pixels in [0, 1] of (B, n) int64 codes in [0, K); `shape` as (rows, columns).

        Pictures are decoded a few at a time: one of 512 x 512 pixels needs 600 MB on its way.
        """
        magvit = self._image_tokenizer()
        at_once = max(1, DECODED_NUMBERS // (codes.shape[1] * magvit.config.patch_size**2 * magvit.config.ch))
        return torch.cat([magvit.decode(part, shape).float() for part in codes.split(at_once)])

    def code_embeddings(self) -> Tensor:
        """Return (K, D) float32 vectors of the codes: D bits as +-1, look-up-free."""
        return self._image_tokenizer().quantize.embedding.float()

    def _tokenize(self, prompts: Sequence[str]) -> list[list[int]]:
        if self.tokenizer is None:
            raise ValueError(self._no_text_tokenizer)
        return tokenize(self.tokenizer, prompts)

    def _image_tokenizer(self) -> MagvitV2:
        if self.magvit is None:
            raise ValueError(self._no_image_tokenizer)
        return self.magvit
