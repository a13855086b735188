"""Votes for tests: listed one by one, or drawn of policies whose strengths are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.preferences.figures.votes import Outcome, Votes


def votes_of(outcomes: Sequence[Outcome], *, policies: tuple[int, int] = (0, 1), **arrays: Sequence[float]) -> Votes:
    """One vote an outcome: each on a pair and a prompt of its own by one rater, unless arrays say otherwise."""
    count = len(outcomes)
    values: dict[str, np.ndarray] = {
        "rater": np.zeros(count, dtype=np.int64),
        "pair": np.arange(count),
        "prompt": np.arange(count),
        "policy_0": np.full(count, policies[0]),
        "policy_1": np.full(count, policies[1]),
        "outcome": np.array(outcomes, dtype=np.int64),
        "is_first_left": np.ones(count, dtype=bool),
        "milliseconds": np.full(count, 2000.0),
        "known": np.full(count, -1),
    }
    return Votes(**(values | {name: np.array(given) for name, given in arrays.items()}))


def draw_votes(
    strengths: np.ndarray, ties: float, *, num_votes: int, seed: int, num_raters: int = 12, num_prompts: int = 150
) -> Votes:
    """Votes of Davidson's model, by raters on prompts that make no difference."""
    generator = np.random.default_rng(seed)
    policies = np.array([generator.permutation(len(strengths))[:2] for _ in range(num_votes)])
    first, second = np.exp(strengths)[policies].T
    chances = np.stack([first, second, ties * np.sqrt(first * second)], axis=1)
    edges = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
    outcomes = (generator.random(num_votes)[:, None] > edges[:, :2]).sum(axis=1)
    return votes_of(
        outcomes.tolist(),
        policy_0=policies[:, 0].tolist(),
        policy_1=policies[:, 1].tolist(),
        rater=generator.integers(num_raters, size=num_votes).tolist(),
        prompt=generator.integers(num_prompts, size=num_votes).tolist(),
    )
