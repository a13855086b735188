"""A frozen set of preference pairs as its files hold it: prompts, two pictures each, and who preferred which.

Knows neither how votes are collected nor what is learned from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

PAIRS_FILE = "pairs.jsonl"


@dataclass(frozen=True)
class Vote:
    """One person's choice."""

    rater: str
    """a hash that stands for the person"""
    label_0: float
    """1 = the first picture, 0 = the second, a half = neither"""
    is_simulated: bool = False


@dataclass(frozen=True)
class Pair:
    """Two pictures of one prompt."""

    prompt: str
    image_0: str
    image_1: str
    label_0: float
    """share of the votes for the first picture; all that an imported pair without single votes has"""
    weight: float
    votes: tuple[Vote, ...]

    def preference(self, raters: frozenset[str] | None = None) -> float | None:
        """The share of votes for the first picture, of some raters or of all; None where none of them voted."""
        if not self.votes:
            return self.label_0 if raters is None else None
        labels = [vote.label_0 for vote in self.votes if raters is None or vote.rater in raters]
        return sum(labels) / len(labels) if labels else None


@dataclass(frozen=True)
class PairSet:
    """All pairs of a set, in the order of its file, and where their pictures lie."""

    folder: Path
    sha256: str
    pairs: tuple[Pair, ...]

    @property
    def raters(self) -> tuple[str, ...]:
        """Everybody who voted, in a fixed order."""
        return tuple(sorted({vote.rater for pair in self.pairs for vote in pair.votes}))

    def picture(self, name: str) -> Tensor:
        """Return a picture as (3, H, W) float32 in [0, 1].

        Raises:
            ValueError: it is missing or broken.
        """
        path = self.folder / name
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise ValueError(f"the picture {path} of the pair set cannot be read ({error}): freeze it anew") from error
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def read_pair_set(folder: Path) -> PairSet:
    """Read a set whose folder is named by the SHA-256 of its pairs.

    Raises:
        ValueError: it is missing, not what its name says, or a line is no pair.
    """
    path = folder / PAIRS_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"pairs.source names the pair set {folder.name}, but {path} cannot be read: {error}"
        ) from error
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != folder.name:
        raise ValueError(f"{path} was changed: its SHA-256 is {sha256}, not its folder's name; freeze the votes anew")
    pairs = tuple(_pair_of(line, f"{path}:{number}") for number, line in enumerate(content.splitlines(), 1) if line)
    if not pairs:
        raise ValueError(f"{path} holds no pair: collect votes, then freeze them anew")
    return PairSet(folder, sha256, pairs)


def check_pictures(pair_set: PairSet, names: Sequence[str]) -> None:
    """Refuse a set of which a picture is missing, before hours are spent.

    Raises:
        ValueError: with the first that is not there.
    """
    for name in names:
        if not (pair_set.folder / name).is_file():
            raise ValueError(f"the pair set lacks its picture {pair_set.folder / name}: freeze the votes anew")


def _pair_of(line: bytes, where: str) -> Pair:
    try:
        content: dict[str, Any] = json.loads(line)
        pair = Pair(
            prompt=str(content["prompt"]),
            image_0=_name(content["image_0"]),
            image_1=_name(content["image_1"]),
            label_0=float(content["label_0"]),
            weight=float(content.get("weight", 1.0)),
            votes=tuple(_vote_of(vote) for vote in content.get("votes", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where} is no preference pair ({error!r}): freeze the votes anew") from error
    if not (0 <= pair.label_0 <= 1 and pair.weight > 0 and all(0 <= vote.label_0 <= 1 for vote in pair.votes)):
        raise ValueError(f"{where}: labels must be 0 to 1 and the weight above 0; freeze the votes anew")
    return pair


def _vote_of(content: dict[str, Any]) -> Vote:
    return Vote(str(content["rater"]), float(content["label_0"]), bool(content.get("is_simulated", False)))


def _name(name: object) -> str:
    """A picture's name inside the set's folder; nothing leads out of it."""
    if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} is no picture of the set")
    return name
