"""Which pairs of a set belong together, so that none of them may judge what another taught.

Knows prompts and the names of pictures, which are their hashes; no votes and no parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.evaluations.prompt_matching import plain
from worker.preference_learning.pairs import Pair


def groups_of(pairs: Sequence[Pair]) -> list[int]:
    """Return each pair's group, (P,), numbered as they first come.

    Pairs belong together where their prompts have the same words, whatever the case, punctuation and spaces, or where
    they share a picture; and so do those that are joined by others.
    """
    parents: dict[tuple[str, str], tuple[str, str]] = {}
    for pair in pairs:
        prompt = _root(parents, ("words", plain(pair.prompt) or pair.prompt))
        for name in (pair.image_0, pair.image_1):
            parents[_root(parents, ("picture", name))] = prompt
    numbers: dict[tuple[str, str], int] = {}
    return [numbers.setdefault(_root(parents, ("picture", pair.image_0)), len(numbers)) for pair in pairs]


def _root(parents: dict[tuple[str, str], tuple[str, str]], node: tuple[str, str]) -> tuple[str, str]:
    """The node that stands for all that a node is joined with; paths are halved on the way."""
    while (parent := parents.setdefault(node, node)) != node:
        parents[node] = parents[parent]
        node = parents[node]
    return node
