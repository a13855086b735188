"""The file of a prompt set: DATA_DIR/prompt-sets/<sha256>.jsonl, one prompt a line, named by the hash of its content.

Shared by API and jobs; knows neither tables nor the small world's grammar. The shipped sets lie beside the code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

PROMPT_SETS = "prompt-sets"
SHA256 = re.compile(r"[0-9a-f]{64}")
SHIPPED_SETS = Path(__file__).parent / "prompt_sets" / "builtin"
HELDOUT, TRAIN = "heldout", "train"


@dataclass(frozen=True)
class Prompt:
    """A prompt of a set."""

    text: str
    task: str | None = None
    tags: tuple[str, ...] = ()
    geneval: Mapping[str, Any] | None = None
    """the line of GenEval's own file that it came from"""


def content_of(prompts: Iterable[Prompt]) -> bytes:
    """The file of some prompts: the same prompts make the same bytes."""
    lines = (
        {"text": each.text, "task": each.task, "tags": list(each.tags), "geneval": each.geneval} for each in prompts
    )
    return "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines).encode()


def sets_beside(runs_dir: Path) -> Path:
    """Where the sets lie that runs in this folder may name."""
    return runs_dir.parent / PROMPT_SETS


def set_path(folder: Path, sha256: str) -> Path | None:
    """The file of a version, also of a shipped one; None where there is none."""
    if not SHA256.fullmatch(sha256):
        return None
    path = folder / f"{sha256}.jsonl"
    return path if path.is_file() else shipped_sets().get(sha256)


def known_sets(folder: Path) -> list[str]:
    """The hashes of all files, the newest first, then those of the shipped ones."""
    found = [path for path in folder.glob("*.jsonl") if SHA256.fullmatch(path.stem)]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return list(dict.fromkeys([path.stem for path in found] + list(shipped_sets())))


@lru_cache(maxsize=1)
def shipped_sets() -> Mapping[str, Path]:
    """The small world's splits, by the hash of their content."""
    paths = (SHIPPED_SETS / f"{name}.jsonl" for name in (HELDOUT, TRAIN))
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def read_set(folder: Path, sha256: str) -> tuple[Prompt, ...]:
    """The prompts of a version, in order.

    Args:
        folder: where sets lie; see `sets_beside`.

    Raises:
        ValueError: when there is no such version, or its file was changed; with the cure.
    """
    path = set_path(folder, sha256)
    if path is None:
        known = ", ".join(known_sets(folder)[:6])
        raise ValueError(
            f"prompts.prompt_set is {sha256!r}, but {folder} has no such version: upload the prompts again (the same "
            f"prompts get the same name), or take one of {known}"
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"{path} was changed since it was stored: its content no longer has the hash in its name; delete the file "
            "and upload the prompts again"
        )
    return tuple(map(prompt_of, content.splitlines()))


def prompt_of(line: bytes | str) -> Prompt:
    """The prompt of a line that `content_of` wrote."""
    data = json.loads(line)
    return Prompt(data["text"], data.get("task"), tuple(data.get("tags") or ()), data.get("geneval"))
