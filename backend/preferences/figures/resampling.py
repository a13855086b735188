"""Draws raters and prompts anew, both at once: how much a figure owes to who voted and to what was asked.

The pigeonhole bootstrap (Owen 2007, arXiv 0712.1111): a vote weighs as often as its rater was drawn, times as often as
its prompt was. Votes of one rater, and those of one prompt, resemble each other; drawing single votes would not know.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backend.preferences.figures.votes import NUM_RESAMPLES, SEED, Floats, Ints

# Votes times draws that are weighed at once: 16 MiB.
_AT_ONCE = 2**21


def resampled_counts(
    cell: Ints, rater: Ints, prompt: Ints, num_cells: int, *, num_resamples: int = NUM_RESAMPLES, seed: int = SEED
) -> Floats:
    """Return (num_resamples, num_cells): how many votes fall into each cell, for each draw of raters and prompts.

    Args:
        cell: (N,) which cell each vote counts for, from 0.
        rater: (N,) numbers.
        prompt: (N,) numbers.
    """
    counts = np.zeros((num_resamples, num_cells))
    if len(cell) == 0:
        return counts
    _, raters = np.unique(rater, return_inverse=True)
    _, prompts = np.unique(prompt, return_inverse=True)
    # Votes of one rater, prompt and cell have one weight, so they are weighed once, in the order of their cells.
    keys, multiplicity = np.unique(np.stack([cell, raters, prompts]), axis=1, return_counts=True)
    starts = np.flatnonzero(np.diff(keys[0], prepend=-1))
    generator = np.random.default_rng(seed)
    size = max(1, _AT_ONCE // keys.shape[1])
    for begin, of_raters, of_prompts in _draws(generator, raters.max() + 1, prompts.max() + 1, num_resamples, size):
        weights = of_raters[:, keys[1]] * of_prompts[:, keys[2]] * multiplicity
        counts[begin : begin + len(weights), keys[0][starts]] = np.add.reduceat(weights, starts, axis=1)
    return counts


def _draws(
    generator: np.random.Generator, num_raters: int, num_prompts: int, num_resamples: int, size: int
) -> Iterator[tuple[int, Floats, Floats]]:
    """How often each rater and each prompt is drawn, for some resamples at a time."""
    for begin in range(0, num_resamples, size):
        rows = min(size, num_resamples - begin)
        yield begin, drawn_counts(generator, num_raters, rows), drawn_counts(generator, num_prompts, rows)


def drawn_counts(generator: np.random.Generator, num_things: int, num_resamples: int) -> Floats:
    """Return (num_resamples, num_things): how often each is drawn when as many are drawn with replacement."""
    shares = np.full(num_things, 1 / num_things)
    return generator.multinomial(num_things, shares, size=num_resamples).astype(np.float64)
