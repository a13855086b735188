"""Pairs as a CSV table, one line a vote, for spreadsheets and scripts; alone, or in a zip with its pictures."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.pair_sets.folder import NewPairSet
from backend.pair_sets.formats.pictures import PictureShelf, told_zip
from backend.pair_sets.formats.rows import (
    Gathering,
    choice_of,
    choice_problem,
    label_problem,
    moment_problem,
    prompt_problem,
    refuse_file,
)
from backend.pair_sets.pairs import Pair, PairSource, PairVote
from backend.schemas.rater_hash import told_rater
from backend.spreadsheets import as_written, plain

CSV_FILE = "votes.csv"
PICTURES = "images"
NEEDED = ("prompt", "image_0", "image_1", "label_0")
COLUMNS = (
    *("prompt", "task", "image_0", "image_1", "label_0", "label_1", "choice", "rater", "is_simulated"),
    *("guideline_version", "created_at", "policy_0", "policy_1", "run_0", "run_1", "seed_0", "seed_1"),
    *("reward_0", "reward_1", "provenance"),
)


def write(source: PairSource) -> Iterator[bytes]:
    """The table alone."""
    buffer = io.StringIO(newline="")
    table = csv.DictWriter(buffer, COLUMNS)
    table.writeheader()
    for number, pair in enumerate(source.pairs):
        table.writerows(_lines(pair))
        if number % 256 == 255:
            yield _taken(buffer)
    yield _taken(buffer)


def write_with_pictures(source: PairSource) -> Iterator[bytes]:
    """A zip of the table and the pictures, which `read` takes back."""
    return told_zip(source, PICTURES, {CSV_FILE: b"".join(write(source))})


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _lines(pair: Pair) -> Iterator[dict[str, Any]]:
    about = [pair.provenance.get(f"picture_{place}") or {} for place in (0, 1)]
    shared = {
        "prompt": plain(pair.prompt),
        "task": plain(pair.task or ""),
        "image_0": f"{PICTURES}/{pair.image_0}",
        "image_1": f"{PICTURES}/{pair.image_1}",
        "provenance": json.dumps(pair.provenance, sort_keys=True),
    }
    for place, told in enumerate(about):
        shared |= {
            f"policy_{place}": plain(str(told.get("policy", ""))),
            f"run_{place}": told.get("run_id", ""),
            f"seed_{place}": told.get("seed", ""),
            f"reward_{place}": told.get("reward", ""),
        }
    for vote in pair.votes or (None,):
        label = pair.label_0 if vote is None else vote.label_0
        yield shared | {
            "label_0": label,
            "label_1": 1 - label,
            "choice": (vote and vote.choice) or "",
            "rater": vote.rater if vote else "",
            "is_simulated": str(vote.is_simulated).lower() if vote else "",
            "guideline_version": vote.guideline_version if vote and vote.guideline_version is not None else "",
            "created_at": (vote and vote.created_at) or "",
        }


def read(path: Path, name: str, new: NewPairSet) -> tuple[list[Pair], dict[str, int]]:
    """Pairs of a CSV file beside its pictures, or of a folder or zip that holds both.

    Raises:
        MalformedError: with line (the first after the header is 0), column and cure of what cannot be read.
    """
    with PictureShelf.opened(path, name, ".csv") as shelf:
        try:
            text = shelf.table().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            refuse_file(name, "", f"it is not UTF-8 ({error.reason}): save it as UTF-8")
        table = csv.DictReader(io.StringIO(text, newline=""))
        gathering = Gathering(name)
        try:
            for column in NEEDED:
                if column not in (table.fieldnames or ()):
                    refuse_file(name, column, f"it has no column {column}: it needs {', '.join(NEEDED)}")
            for row, line in enumerate(table):
                _take(gathering, new, shelf, row, line)
        except csv.Error as error:
            refuse_file(name, "", f"line {table.line_num + 1} cannot be read ({error}): save it as CSV anew")
    return gathering.finish(), dict(gathering.left_out)


def _take(gathering: Gathering, new: NewPairSet, shelf: PictureShelf, row: int, line: dict[str, Any]) -> None:
    prompt = as_written(line["prompt"] or "")
    if (problem := prompt_problem(prompt)) is not None:
        gathering.refuse(row, "prompt", problem)
        return
    try:
        label = float(line["label_0"])
    except (TypeError, ValueError):
        label = float("nan")
    if (problem := label_problem(label, 1 - label)) is not None:
        gathering.refuse(row, "label_0", problem)
        return
    names = [shelf.keep(gathering, new, row, column, line[column] or "") for column in ("image_0", "image_1")]
    if None in names:
        return
    moment = line.get("created_at") or None
    if (problem := moment_problem(moment)) is not None:
        gathering.refuse(row, "created_at", problem)
        return
    choice = line.get("choice") or choice_of(label)
    if (problem := choice_problem(choice)) is not None:
        gathering.refuse(row, "choice", problem)
        return
    rater, version = line.get("rater") or "", line.get("guideline_version") or ""
    vote = PairVote(
        rater=told_rater("csv", rater, is_own=bool(line.get("provenance"))),
        label_0=label,
        is_simulated=(line.get("is_simulated") or "").lower() in ("true", "1", "yes"),
        choice=choice,
        created_at=moment,
        guideline_version=int(version) if re.fullmatch(r"[0-9]{1,9}", version) else None,
    )
    provenance = {"row": row} | ({"told": line["provenance"]} if line.get("provenance") else {})
    task, votes = as_written(line.get("task") or "") or None, (vote,) if rater else ()
    gathering.add(Pair(prompt, task, str(names[0]), str(names[1]), label, votes, provenance), row, "image_1")
