"""Pairs of an evaluation as CSV, a line a pair; safe to open in a spreadsheet. It knows no request."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from backend.evaluations.repository import PairRows

COLUMNS = (
    "prompt",
    "task",
    "seed",
    "base",
    "policy",
    "base_reward",
    "policy_reward",
    "difference",
    "base_sample",
    "policy_sample",
    "base_sha256",
    "policy_sha256",
)
# A spreadsheet takes what begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(pairs: Iterable[PairRows]) -> Iterator[str]:
    """The heading, then a line for each pair; what was not judged is empty."""
    yield _line(COLUMNS)
    for pair in pairs:
        base, policy = pair.base, pair.policy
        difference = None if base.reward is None or policy.reward is None else policy.reward - base.reward
        yield _line(
            (
                pair.policy_group.prompt,
                pair.policy_group.task,
                policy.seed,
                pair.base_group.policy,
                pair.policy_group.policy,
                base.reward,
                policy.reward,
                difference,
                base.id,
                policy.id,
                base.image_sha256,
                policy.image_sha256,
            )
        )


def _line(values: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_safe(value) for value in values])
    return buffer.getvalue()


def _safe(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
