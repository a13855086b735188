"""A preference pair with its votes, and the one line that it is in pairs.jsonl. Knows no folder and no table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PairVote:
    """One person's choice, or one program's."""

    rater: str
    """a hash that stands for the rater, the same in all files of a studio: rater_hash"""
    label_0: float
    """1 = the first picture, 0 = the second, a half = neither"""
    is_simulated: bool = False
    choice: str | None = None
    """0, 1, tie or both_bad, where that is known"""
    created_at: str | None = None
    """RFC 3339, UTC"""
    guideline_version: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two pictures of one prompt."""

    prompt: str
    task: str | None
    image_0: str
    """name of the picture's file: its SHA-256 and an ending"""
    image_1: str
    label_0: float
    """mean of the votes; all that a pair without single votes has"""
    votes: tuple[PairVote, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def majority(self) -> int | None:
        """Which picture more votes chose, 0 or 1; None = as many chose either."""
        return None if self.label_0 == 0.5 else int(self.label_0 < 0.5)


@dataclass(frozen=True)
class PairSource:
    """Pairs, and where each picture lies that they name."""

    pairs: tuple[Pair, ...]
    pictures: dict[str, Path]
    about: dict[str, Any]
    """where the pairs come from, for whoever reads them"""
    left_out: dict[str, int]


def lines_of(pairs: Sequence[Pair]) -> Iterable[bytes]:
    """The lines of pairs.jsonl; the same pairs give the same bytes.

    A pair's weight is one over the number of pairs of its prompt, as PickScore weighs them, so that each prompt says as
    much as any other.
    """
    per_prompt = Counter(pair.prompt for pair in pairs)
    for pair in pairs:
        body = {
            "prompt": pair.prompt,
            "task": pair.task,
            "image_0": pair.image_0,
            "image_1": pair.image_1,
            "label_0": pair.label_0,
            "label_1": 1 - pair.label_0,
            "majority": pair.majority,
            "weight": 1 / per_prompt[pair.prompt],
            "votes": [asdict(vote) for vote in pair.votes],
            "provenance": pair.provenance,
        }
        yield (json.dumps(body, sort_keys=True, separators=(",", ":")) + "\n").encode()


def pair_of(line: bytes) -> Pair:
    """The pair that a line of pairs.jsonl tells of."""
    body = json.loads(line)
    return Pair(
        prompt=body["prompt"],
        task=body["task"],
        image_0=body["image_0"],
        image_1=body["image_1"],
        label_0=body["label_0"],
        votes=tuple(PairVote(**vote) for vote in body["votes"]),
        provenance=body["provenance"],
    )


def counts_of(pairs: Sequence[Pair]) -> dict[str, int]:
    """How much a set holds, by the names of `PairSet`."""
    raters = {vote.rater: vote.is_simulated for pair in pairs for vote in pair.votes}
    return {
        "num_pairs": len(pairs),
        "num_prompts": len({pair.prompt for pair in pairs}),
        "num_pictures": len({name for pair in pairs for name in (pair.image_0, pair.image_1)}),
        "num_votes": sum(len(pair.votes) for pair in pairs),
        "num_ties": sum(pair.majority is None for pair in pairs),
        "num_raters": len(raters),
        "num_simulated_raters": sum(raters.values()),
    }
