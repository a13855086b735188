"""Pictures beside a table, in a folder or a zip, found by the path that a row names; zips that are sent as written."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backend.pair_sets.folder import NewPairSet
from backend.pair_sets.formats.rows import Gathering, refuse_file
from backend.pair_sets.formats.streaming import Outbox
from backend.pair_sets.pairs import PairSource

PROVENANCE_FILE = "provenance.json"
_LARGEST_TABLE = 2**29
_LARGEST_PICTURE = 2**26
# A fixed date, so that the same pairs give the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def told_zip(source: PairSource, folder: str, tables: dict[str, bytes]) -> Iterator[bytes]:
    """A zip of tables, provenance and pictures, a picture at a time."""
    outbox = Outbox()
    about = json.dumps({"source": source.about, "left_out": source.left_out}, indent=1, ensure_ascii=False)
    with zipfile.ZipFile(outbox, "w") as archive:
        for name, content in (tables | {PROVENANCE_FILE: about.encode()}).items():
            archive.writestr(_entry(name, zipfile.ZIP_DEFLATED), content)
            yield outbox.take()
        for name in sorted({name for pair in source.pairs for name in (pair.image_0, pair.image_1)}):
            # Pictures are compressed already.
            archive.writestr(_entry(f"{folder}/{name}", zipfile.ZIP_STORED), source.pictures[name].read_bytes())
            yield outbox.take()
    yield outbox.take()


def _entry(name: str, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = method
    return entry


@dataclass(frozen=True)
class PictureShelf:
    """A table's bytes, and the files around it."""

    table: Callable[[], bytes]
    _find: Callable[[str], bytes | None]

    @classmethod
    @contextmanager
    def opened(cls, path: Path, name: str, suffix: str) -> Iterator[PictureShelf]:
        """What lies at a path: the table itself, or a folder or zip with one table in it.

        Raises:
            MalformedError: when there is no table, or several.
        """
        if path.is_dir():
            yield _in_folder(path, name, suffix)
        elif zipfile.is_zipfile(path):
            try:
                with zipfile.ZipFile(path) as archive:
                    yield _in_zip(archive, name, suffix)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                refuse_file(name, "", f"the zip cannot be read ({error}): make it anew, without a password")
        else:
            yield cls(path.read_bytes, lambda wanted: _below(path.parent, path.stem, wanted))

    def keep(self, gathering: Gathering, new: NewPairSet, row: int, column: str, path: str) -> str | None:
        """Takes a row's picture into the new set; notes what is wrong with it, and gives None then."""
        parts = PurePosixPath(path).parts
        content = None if not parts or parts[0] == "/" or ".." in parts else self._find(path)
        if content is None:
            gathering.refuse(
                row, column, f"there is no picture {path!r} beside the table: put it there, or mend the path"
            )
            return None
        try:
            return new.add_picture(content)
        except ValueError as error:
            gathering.refuse(row, column, f"the picture {path!r} cannot be read, {error}: encode it anew")
            return None


def _in_folder(folder: Path, name: str, suffix: str) -> PictureShelf:
    tables = [path for path in sorted(folder.rglob(f"*{suffix}")) if path.name != PROVENANCE_FILE]
    _refuse_unless_one([str(path.relative_to(folder)) for path in tables], name, suffix)
    return PictureShelf(tables[0].read_bytes, lambda wanted: _below(tables[0].parent, tables[0].stem, wanted))


def _in_zip(archive: zipfile.ZipFile, name: str, suffix: str) -> PictureShelf:
    entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    tables = [each for each in sorted(entries) if each.endswith(suffix) and PurePosixPath(each).name != PROVENANCE_FILE]
    _refuse_unless_one(tables, name, suffix)
    base, stem = PurePosixPath(tables[0]).parent, PurePosixPath(tables[0]).stem
    if entries[tables[0]].file_size > _LARGEST_TABLE:
        refuse_file(name, "", f"its table has more than {_LARGEST_TABLE} bytes: split it")

    def find(wanted: str) -> bytes | None:
        for folder in _FOLDERS:
            entry = entries.get(str(base / folder.format(stem=stem) / wanted))
            if entry is not None and entry.file_size <= _LARGEST_PICTURE:
                return archive.read(entry)
        return None

    return PictureShelf(lambda: archive.read(tables[0]), find)


# HPDv2 keeps the pictures of test.json in a folder `test` beside it.
_FOLDERS = (".", "{stem}", "images")


def _below(base: Path, stem: str, wanted: str) -> bytes | None:
    for folder in _FOLDERS:
        path = base / folder.format(stem=stem) / wanted
        # A link could lead anywhere on the studio's machine.
        if path.is_file() and path.resolve().is_relative_to(base.resolve()) and path.stat().st_size <= _LARGEST_PICTURE:
            return path.read_bytes()
    return None


def _refuse_unless_one(tables: list[str], name: str, suffix: str) -> None:
    if not tables:
        refuse_file(name, "", f"there is no {suffix} file in it")
    if len(tables) > 1:
        refuse_file(name, "", f"there are {len(tables)} {suffix} files in it, {tables[0]} and {tables[1]}: give one")
