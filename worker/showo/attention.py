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


def attend_causally(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend within left-aligned text: what pads a short text on its right is never seen by its tokens.

    All tensors are (B, heads, M, head_dim); so is the result.
    """
    return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)


def attend_to_all(queries: Tensor, keys: Tensor, values: Tensor, is_key_text: Tensor | None) -> Tensor:
    """Attend from the image part to the whole text and the whole image part.

    Args:
        queries: (B, heads, S, head_dim) of the image part.
        keys: (B, heads, M + S, head_dim), the text first.
        values: as keys.
        is_key_text: (B, M) bool, True where a text slot holds a token; None when every slot does.

    Returns:
        (B, heads, S, head_dim).
    """
    if is_key_text is None:
        return F.scaled_dot_product_attention(queries, keys, values)
    image_part = is_key_text.new_ones(is_key_text.shape[0], queries.shape[2])
    allowed = torch.cat([is_key_text, image_part], dim=1)[:, None, None, :]
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)


def attend_by_mask(queries: Tensor, keys: Tensor, values: Tensor, allowed: Tensor) -> Tensor:
    """Attend over whole sequences under a dense (B, L, L) rule: slow, published, the oracle of the other two."""
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed[:, None])
