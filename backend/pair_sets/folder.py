"""Where pair sets lie: DATA_DIR/pair-sets/<sha256>/ with pairs.jsonl, manifest.json and the pictures; whole or not."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from backend.artifacts import sync_folder, sync_tree
from backend.errors import ConflictError, NotFoundError
from backend.pair_sets.pairs import Pair, PairSource, counts_of, lines_of, pair_of
from backend.schemas.pair_set import SHA256, PairSet

PAIRS_FILE, MANIFEST_FILE = "pairs.jsonl", "manifest.json"

# What a killed import left is removed once no living one can be that old.
_STALE_SECONDS = 86_400.0
_MOST_PIXELS = 2**26
_ENDINGS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
PICTURE_NAME = r"[0-9a-f]{64}\.(png|jpg|webp)"


class NewPairSet:
    """A set in the making, in a folder that nobody reads yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """where to, until `PairSets.keep` gives it its place"""

    def add_picture(self, content: bytes) -> str:
        """Keeps a picture's bytes as they are; returns its name.

        Raises:
            ValueError: when they are no whole PNG, JPEG or WebP.
        """
        name = f"{hashlib.sha256(content).hexdigest()}.{picture_ending(content)}"
        path = self.folder / name
        if not path.exists():
            path.write_bytes(content)
        return name

    def add_known(self, name: str, content: bytes) -> bool:
        """Keeps a picture of the studio's own under its name; False = these are not the bytes that the name promises.

        It is not decoded: its hash says that it is the one that people saw.
        """
        if hashlib.sha256(content).hexdigest() != name.partition(".")[0]:
            return False
        (self.folder / name).write_bytes(content)
        return True

    def write(
        self, pairs: Sequence[Pair], name: str, source: dict[str, Any], left_out: dict[str, int], version: int = 1
    ) -> str:
        """Writes pairs and manifest; returns the set's SHA-256."""
        digest = hashlib.sha256()
        with (self.folder / PAIRS_FILE).open("wb") as file:
            for line in lines_of(pairs):
                digest.update(line)
                file.write(line)
        manifest = {
            "sha256": digest.hexdigest(),
            "name": name,
            "version": version,
            "created_at": datetime.now(UTC).isoformat(),
            "source": source,
            "left_out": left_out,
            "num_bytes": sum(path.stat().st_size for path in self.folder.iterdir()),
        } | counts_of(pairs)
        (self.folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        return digest.hexdigest()


class PairSets:
    """All sets of a studio."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def making(self) -> Iterator[NewPairSet]:
        """A new set; when the block raises or the process dies, nothing of it is seen. `keep` is called inside."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._remove_stale()
        folder = self.root / f".{secrets.token_hex(8)}.tmp"
        folder.mkdir()
        try:
            yield NewPairSet(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, new: NewPairSet, sha256: str) -> tuple[PairSet, bool]:
        """Gives a written set its place; False = these pairs are there already, under the name they first had."""
        sync_tree(new.folder)
        try:
            new.folder.rename(self.root / sha256)
        except OSError:
            if not (self.root / sha256 / MANIFEST_FILE).is_file():
                raise
            return self.get(sha256), False
        sync_folder(self.root)
        return self.get(sha256), True

    def get(self, sha256: str) -> PairSet:
        """What a set's manifest says.

        Raises:
            NotFoundError: when there is no such set.
            ConflictError: when its manifest cannot be read.
        """
        if not re.fullmatch(SHA256, sha256) or not (self.root / sha256).is_dir():
            raise NotFoundError(f"there is no pair set {sha256}: GET /api/v1/pair-sets lists them")
        path = self.root / sha256 / MANIFEST_FILE
        try:
            return PairSet.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ConflictError(f"{path} is broken: delete the folder, and freeze or import the pairs anew") from error

    def all_sets(self) -> list[PairSet]:
        """All sets that can be read, the newest first."""
        found = []
        for folder in self.root.glob("*") if self.root.is_dir() else ():
            try:
                found.append(self.get(folder.name))
            except (NotFoundError, ConflictError):
                continue  # A set in the making, or one that somebody has damaged: asking for it says so.
        return sorted(found, key=lambda each: (each.created_at, each.sha256), reverse=True)

    def next_version(self, name: str, source: dict[str, Any]) -> int:
        """The number of a set to be: one over the highest of the same label task, or of the imports of that name."""
        line = _line(name, source)
        return 1 + max((each.version for each in self.all_sets() if _line(each.name, each.source) == line), default=0)

    def some_pairs(self, sha256: str, first: int, count: int) -> list[Pair]:
        """At most `count` pairs from the place `first` on, in the order of the set's file.

        Raises:
            NotFoundError: when there is no such set.
        """
        self.get(sha256)
        with (self.root / sha256 / PAIRS_FILE).open("rb") as file:
            return [pair_of(line) for line in islice(file, first, first + count)]

    def picture(self, sha256: str, name: str) -> Path:
        """Where a picture of a set lies.

        Raises:
            NotFoundError: when there is no such set, or it has no such picture.
        """
        self.get(sha256)
        path = self.root / sha256 / name
        if not re.fullmatch(PICTURE_NAME, name) or not path.is_file():
            raise NotFoundError(f"pair set {sha256[:12]} has no picture {name}: GET .../pairs names those it has")
        return path

    def read(self, sha256: str) -> PairSource:
        """A set's pairs, and where their pictures lie.

        Raises:
            ConflictError: when the pairs are not those that the set's name promises.
        """
        manifest = self.get(sha256)
        folder = self.root / sha256
        content = (folder / PAIRS_FILE).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ConflictError(f"{folder / PAIRS_FILE} was changed since it was frozen: freeze or import it anew")
        pairs = tuple(map(pair_of, content.splitlines()))
        names = {name for pair in pairs for name in (pair.image_0, pair.image_1)}
        about = {"pair_set": sha256, "name": manifest.name} | manifest.source
        return PairSource(pairs, {name: folder / name for name in names}, about, manifest.left_out)

    def delete(self, sha256: str) -> None:
        """Removes a set: first out of sight, then its files."""
        self.get(sha256)
        aside = self.root / f".{secrets.token_hex(8)}.tmp"
        (self.root / sha256).rename(aside)
        sync_folder(self.root)
        shutil.rmtree(aside, ignore_errors=True)

    def _remove_stale(self) -> None:
        for path in self.root.glob(".*.tmp"):
            try:
                is_stale = time.time() - os.stat(path).st_mtime > _STALE_SECONDS
            except FileNotFoundError:
                continue
            if is_stale:
                shutil.rmtree(path, ignore_errors=True)


def _line(name: str, source: dict[str, Any]) -> tuple[object, ...]:
    """What all versions of a set share."""
    task = source.get("label_task_id")
    return ("label_task", task) if task is not None else ("import", name)


def picture_ending(content: bytes) -> str:
    """How the name of a picture's file ends; the picture is decoded whole.

    Raises:
        ValueError: when it is none, is cut off, or has more than 67 million pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_ENDINGS)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError(f"it has {picture.width} x {picture.height} pixels, at most {_MOST_PIXELS} are read")
            picture.load()
            return _ENDINGS[str(picture.format)]
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("its bytes are no whole PNG, JPEG or WebP") from error
