"""HPDv2's JSON (Wu et al. 2023, arXiv 2306.09341): one entry a prompt: pictures, ranks, and each person's.

A lower rank is better, equal ranks are a tie: its evaluation numbers the best picture 0. The export is a zip of
`test.json` and the pictures, whose paths are relative to it; `task`, `label_0`, `is_simulated`
and `provenance` are this program's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from backend.pair_sets.folder import NewPairSet
from backend.pair_sets.formats.pictures import PictureShelf, told_zip
from backend.pair_sets.formats.rows import (
    Gathering,
    choice_of,
    choice_problem,
    moment_problem,
    prompt_problem,
    refuse_file,
)
from backend.pair_sets.pairs import Pair, PairSource, PairVote
from backend.schemas.preference import VoteOutcome
from backend.schemas.rater_hash import told_rater

JSON_FILE = "test.json"
PICTURES = "images"
# All pictures of an entry are paired with each other, so the pairs grow with the square; HPDv2's own have at most nine.
MOST_PICTURES = 64
_HIGHEST_RANK = 1e9
_PAIR = 2


def write(source: PairSource) -> Iterator[bytes]:
    """The zip, a picture at a time."""
    entries = json.dumps([_entry(pair) for pair in source.pairs], indent=1)
    return told_zip(source, PICTURES, {JSON_FILE: entries.encode()})


def _entry(pair: Pair) -> dict[str, Any]:
    return {
        "prompt": pair.prompt,
        "task": pair.task,
        "image_path": [f"{PICTURES}/{name}" for name in (pair.image_0, pair.image_1)],
        "rank": _ranks(pair.label_0),
        "label_0": pair.label_0,
        "raw_annotations": [
            {
                "rank": _ranks(vote.label_0),
                "user_hash": vote.rater,
                "is_simulated": vote.is_simulated,
                "choice": vote.choice,
                "guideline_version": vote.guideline_version,
                "created_at": vote.created_at,
            }
            for vote in pair.votes
        ],
        "provenance": pair.provenance,
    }


def _ranks(label_0: float) -> list[int]:
    """1 = best; both are 1 in a tie."""
    return [1 if label_0 >= 0.5 else 2, 1 if label_0 <= 0.5 else 2]


def read(path: Path, name: str, new: NewPairSet) -> tuple[list[Pair], dict[str, int]]:
    """Pairs of a JSON file beside its pictures, or of a folder or zip that holds both.

    All pictures of an entry are paired with each other. The training file's `file_path` and `human_preference` (1 = the
    preferred one) are read too.

    Raises:
        MalformedError: with entry (from 0), key and cure of what cannot be read.
    """
    with PictureShelf.opened(path, name, ".json") as shelf:
        try:
            entries = json.loads(shelf.table())
        except (ValueError, RecursionError) as error:
            refuse_file(name, "", f"its JSON cannot be read ({error}): export it anew")
        if not isinstance(entries, list):
            refuse_file(name, "", "its JSON is no list of entries: HPDv2's files are [{prompt, image_path, rank}, ...]")
        gathering = Gathering(name)
        for row, entry in enumerate(entries):
            _take(gathering, new, shelf, row, entry)
    return gathering.finish(), dict(gathering.left_out)


def _take(gathering: Gathering, new: NewPairSet, shelf: PictureShelf, row: int, entry: Any) -> None:
    if (problem := prompt_problem(entry.get("prompt") if isinstance(entry, dict) else None)) is not None:
        gathering.refuse(row, "prompt", problem)
        return
    key = "image_path" if "image_path" in entry else "file_path"
    paths = entry.get(key)
    if not isinstance(paths, list) or len(paths) < 2 or not all(isinstance(each, str) for each in paths):
        gathering.refuse(row, key, "it needs the paths of two pictures or more: add them, or remove the entry")
        return
    if len(paths) > MOST_PICTURES:
        gathering.refuse(row, key, f"it has {len(paths)} pictures, at most {MOST_PICTURES} are read: split the entry")
        return
    votes = _votes(gathering, row, entry, len(paths))
    if votes is None:
        return
    names = [shelf.keep(gathering, new, row, f"{key}/{place}", path) for place, path in enumerate(paths)]
    if None in names:
        return
    for first, second in combinations(range(len(names)), 2):
        given = [each.of(first, second) for each in votes]
        single = tuple(given) if all(vote.rater for vote in given) else ()
        label = sum(vote.label_0 for vote in given) / len(given) if single else _told_label(entry, given)
        provenance = {"row": row} | ({"told": entry["provenance"]} if "provenance" in entry else {})
        pair = Pair(
            entry["prompt"], _told_task(entry), str(names[first]), str(names[second]), label, single, provenance
        )
        gathering.add(pair, row, f"{key}/{second}")


@dataclass(frozen=True)
class _Ranking:
    """One person's order of an entry's pictures."""

    ranks: list[float]
    rater: str = ""
    """a hash; empty where no person is told"""
    is_simulated: bool = False
    choice: str | None = None
    """as this program exports it, of a pair: both_bad has the ranks of a tie"""
    created_at: str | None = None
    guideline_version: int | None = None

    def of(self, first: int, second: int) -> PairVote:
        """What the ranks say of two of the pictures."""
        label = _share(self.ranks, first, second)
        is_bad = self.choice == VoteOutcome.BOTH_BAD and label == 0.5 and len(self.ranks) == _PAIR
        choice = self.choice if is_bad else choice_of(label)
        return PairVote(self.rater, label, self.is_simulated, choice, self.created_at, self.guideline_version)


def _votes(gathering: Gathering, row: int, entry: dict[str, Any], count: int) -> list[_Ranking] | None:
    """Each person's ranking; nameless ones where no person is told."""
    found: list[_Ranking] = []
    for place, each in enumerate(entry.get("raw_annotations") or ()):
        where = f"raw_annotations/{place}"
        ranks = _ranks_of(each.get("rank") if isinstance(each, dict) else None, count)
        if ranks is None:
            gathering.refuse(row, f"{where}/rank", f"it is no list of {count} numbers, one a picture")
            return None
        for key, problem in (("choice", choice_problem), ("created_at", moment_problem)):
            if (words := problem(each.get(key))) is not None:
                gathering.refuse(row, f"{where}/{key}", words)
                return None
        version = each.get("guideline_version")
        is_version = isinstance(version, int) and not isinstance(version, bool)
        found.append(
            _Ranking(
                ranks=ranks,
                rater=_rater(entry, each),
                is_simulated=bool(each.get("is_simulated")),
                choice=each.get("choice"),
                created_at=each.get("created_at"),
                guideline_version=version if is_version else None,
            )
        )
    if found:
        return found
    if (preferred := _ranks_of(entry.get("human_preference"), count)) is not None:
        return [_Ranking([-each for each in preferred], _rater(entry, entry))]
    if (ranks := _ranks_of(entry.get("rank"), count)) is not None:
        return [_Ranking(ranks)]
    gathering.refuse(row, "rank", f"it is no list of {count} numbers, one a picture, the best the lowest")
    return None


def _rater(entry: dict[str, Any], told: dict[str, Any]) -> str:
    user = told.get("user_hash")
    return told_rater("hpdv2", user, is_own=_is_own(entry)) if user else ""


def _is_own(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("provenance"), dict)


def _told_task(entry: dict[str, Any]) -> str | None:
    task = entry.get("task")
    return task if _is_own(entry) and isinstance(task, str) and task else None


def _told_label(entry: dict[str, Any], votes: list[PairVote]) -> float:
    """The label of a pair without single votes: ranks tell which picture is preferred, but not by what share.

    Where the entry's label says another picture than its ranks, which may have been edited, the ranks count.
    """
    ranked = sum(vote.label_0 for vote in votes) / len(votes)
    label = entry.get("label_0")
    if not _is_own(entry) or isinstance(label, bool) or not isinstance(label, int | float) or not 0 <= label <= 1:
        return ranked
    return float(label) if _ranks(label) == _ranks(ranked) else ranked


def _ranks_of(value: Any, count: int) -> list[float] | None:
    """The value where it is a list of so many numbers."""
    if not isinstance(value, list) or len(value) != count:
        return None
    # NaN is below nothing, and so refused.
    if not all(isinstance(each, int | float) and abs(each) < _HIGHEST_RANK for each in value):
        return None
    return [float(each) for each in value]


def _share(ranks: list[float], first: int, second: int) -> float:
    return 0.5 if ranks[first] == ranks[second] else float(ranks[first] < ranks[second])
