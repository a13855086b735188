"""Draws raters and prompts anew, both at once: how much a figure owes to who voted and to what was asked.

The pigeonhole bootstrap (Owen 2007, arXiv 0712.1111): a vote weighs as often as its rater was drawn, times as often as
its prompt was. Votes of one rater, and those of one prompt, resemble each other; drawing single votes would not know.
"""

from __future__ import annotations

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
    num_raters, num_prompts = int(raters.max()) + 1, int(prompts.max()) + 1
    # Votes of one rater, prompt and cell have one weight, so they are weighed once, in the order of their cells.
    keys, multiplicity = np.unique((cell * num_raters + raters) * num_prompts + prompts, return_counts=True)
    cells, whose, what = keys // num_prompts // num_raters, keys // num_prompts % num_raters, keys % num_prompts
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    generator = np.random.default_rng(seed)
    of_raters = drawn_counts(generator, num_raters, num_resamples).T.copy()
    of_prompts = drawn_counts(generator, num_prompts, num_resamples).T.copy()
    size = max(1, _AT_ONCE // len(keys))
    for begin in range(0, num_resamples, size):
        part = slice(begin, begin + size)
        # Draws are the last axis: what is gathered and summed then lies side by side.
        weights = of_raters[whose, part] * of_prompts[what, part]
        weights *= multiplicity[:, None]
        counts[part, cells[starts]] = np.add.reduceat(weights, starts, axis=0).T
    return counts


def drawn_counts(generator: np.random.Generator, num_things: int, num_resamples: int) -> Floats:
    """Return (num_resamples, num_things): how often each is drawn when as many are drawn with replacement."""
    shares = np.full(num_things, 1 / num_things)
    return generator.multinomial(num_things, shares, size=num_resamples).astype(np.float64)
