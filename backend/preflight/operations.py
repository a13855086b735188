"""How many multiplications and additions a rollout and an update take: the arithmetic behind every time estimate.

It counts matrix products and attention of the fast path (docs/algorithm.md) as they are computed; what is not a matrix
product (norms, softmax, sorting) is no part of it and shows as a share of the device's rate that is not reached.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.preflight.sizes import PolicySizes
from backend.schemas.algorithm import MaskSchedule
from backend.schemas.mask_schedule import masked_counts


@dataclass(frozen=True)
class Forward:
    """One pass over image parts whose texts are encoded already."""

    num_sequences: int
    num_rows: int
    """positions over all sequences that get logits"""


def forward_operations(sizes: PolicySizes, passed: Forward, num_text_tokens: int) -> int:
    """Operations of one pass: layers without the text's rows, a last layer and a head at the wanted rows alone."""
    h, f, layers = sizes.hidden_size, sizes.intermediate_size, sizes.num_layers
    length = sizes.num_image_tokens + 2
    all_rows = passed.num_sequences * length
    # The first layer is looked up by token where a batch repeats most tokens.
    vectors = sizes.codebook_size + 3
    first_rows = vectors if all_rows > 2 * vectors else all_rows
    projections, rest = 6 * h * h, 2 * h * h + 4 * h * f
    body = (projections + rest) * max(0, layers - 2) * all_rows
    first = projections * first_rows + (4 * h * f * first_rows + 2 * h * h * all_rows)
    last = projections * all_rows + rest * passed.num_rows
    attention = 4 * h * (num_text_tokens + length) * all_rows * layers
    head = 2 * h * sizes.codebook_size * passed.num_rows
    return (first if layers > 1 else 0) + body + last + attention + head


def text_operations(sizes: PolicySizes, num_texts: int, num_text_tokens: int) -> int:
    """Operations of encoding texts once."""
    h, f = sizes.hidden_size, sizes.intermediate_size
    a_row = (8 * h * h + 4 * h * f) * sizes.num_layers + 2 * h * num_text_tokens * sizes.num_layers
    return a_row * num_texts * num_text_tokens


def rollout_operations(
    sizes: PolicySizes,
    num_steps: int,
    *,
    num_prompts: int,
    group_size: int,
    num_text_tokens: int,
    is_guided: bool,
    mask_schedule: MaskSchedule = MaskSchedule.COSINE,
) -> int:
    """Operations of unmasking a batch of groups; the first step is made once a prompt, where all is still masked."""
    counts = masked_counts(sizes.num_image_tokens, num_steps, mask_schedule)
    twice = 2 if is_guided else 1
    total = text_operations(sizes, num_prompts + (1 if is_guided else 0), num_text_tokens)
    for step, count in enumerate(counts[:-1]):
        num_sequences = num_prompts if step == 0 else num_prompts * group_size
        passed = Forward(twice * num_sequences, twice * num_sequences * count)
        total += forward_operations(sizes, passed, num_text_tokens)
    return total
