"""Omni-attention: who may look at whom in a Show-o sequence, as a dense rule (the oracle) and by parts (the fast path).

It knows positions and masks only, no weights and no tokenizer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from worker.showo.prompting import PromptLayout


def omni_attention_allowed(input_ids: Tensor, layout: PromptLayout) -> Tensor:
    """Return the dense attention rule of whole sequences, the published way.

    Args:
        input_ids: (B, L) int64 sequences in the order text block, soi, image, eoi.
        layout: where the parts lie.

    Returns:
        (B, L, L) bool, True where the query (second axis) may look at the key (third axis): padding sees earlier
        padding and itself, text sees earlier text and itself, everything from soi to eoi sees all but padding.

    Raises:
        ValueError: the sequences do not have the layout's length.
    """
    length = input_ids.shape[1]
    if length != layout.sequence_length:
        raise ValueError(f"sequences have {length} tokens, the layout has {layout.sequence_length}")
    is_pad = input_ids == layout.special.pad
    position = torch.arange(length, device=input_ids.device)
    is_causal = position[:, None] >= position[None, :]
    same_kind = is_pad[:, :, None] == is_pad[:, None, :]
    in_image_part = position >= layout.text_block_length
    return torch.where(in_image_part[None, :, None], ~is_pad[:, None, :], is_causal & same_kind)


def bias_of_keys(is_key_text: Tensor, num_image_part: int) -> Tensor:
    """Return what to add to the scores of every query: 0 where the key may be seen, -inf at empty text slots.

    Args:
        is_key_text: (B, M) bool, True where a text slot holds a token.
        num_image_part: S, the keys after them, which all may be seen.

    Returns:
        (B, 1, 1, M + S) float32.
    """
    bias = torch.zeros(is_key_text.shape, device=is_key_text.device).masked_fill(~is_key_text, -torch.inf)
    return F.pad(bias, (0, num_image_part))[:, None, None, :]


def attend_causally(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend within left-aligned text: what pads a short text on its right is never seen by its tokens.

    All tensors are (B, M, heads, head_dim); so is the result.
    """
    return _attend(queries, keys, values, is_causal=True)


def attend_to_all(queries: Tensor, keys: Tensor, values: Tensor, key_bias: Tensor | None) -> Tensor:
    """Attend from the image part to the whole text and the whole image part.

    Args:
        queries: (B, S, heads, head_dim) of the image part.
        keys: (B, M + S, heads, head_dim), the text first.
        values: as keys.
        key_bias: see `bias_of_keys`; None when every text slot holds a token.

    Returns:
        (B, S, heads, head_dim).
    """
    return _attend(queries, keys, values, None if key_bias is None else key_bias.to(queries.dtype))


def attend_by_mask(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """Attend over whole sequences under a dense (B, L, L) rule: slow, published, the oracle of the other two."""
    return _attend(queries, keys, values, allowed[:, None])


def _attend(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    """Attend with heads behind positions, (B, L, heads, head_dim): as projections leave them, so nothing is copied."""
    heads_first = (part.transpose(1, 2) for part in (queries, keys, values))
    return F.scaled_dot_product_attention(*heads_first, attn_mask=mask, is_causal=is_causal).transpose(1, 2)
