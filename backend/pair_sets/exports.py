"""Pairs as files for other programs, whole or in the parts that PickScore's trainer wants; sent while they are made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fastapi.responses import StreamingResponse

from backend.errors import ConflictError, MalformedError
from backend.pair_sets.formats import csv_table, hpdv2, pick_a_pic
from backend.pair_sets.pairs import PairSource
from backend.schemas.base import FieldProblem
from backend.schemas.pair_set import PairFormat, PairPart


@dataclass(frozen=True)
class _Kind:
    write: Callable[[PairSource], Iterator[bytes]]
    media_type: str
    ending: str


_PARQUET = _Kind(pick_a_pic.write, "application/vnd.apache.parquet", "parquet")
_HPDV2 = _Kind(hpdv2.write, "application/zip", "zip")
_CSV = _Kind(csv_table.write, "text/csv; charset=utf-8", "csv")
_CSV_ZIP = _Kind(csv_table.write_with_pictures, "application/zip", "zip")

RESPONSES: dict[int | str, dict[str, object]] = {
    200: {
        "description": "The file, sent while it is made",
        "content": {kind.media_type.partition(";")[0]: {} for kind in (_PARQUET, _HPDV2, _CSV)},
    }
}


def exported(
    source: PairSource, name: str, wanted: PairFormat, *, part: PairPart | None, with_pictures: bool
) -> StreamingResponse:
    """The answer that is the file.

    Raises:
        MalformedError: when pictures are asked of a format that has them anyhow.
        ConflictError: when nothing is left to export, or a picture is gone.
    """
    if with_pictures and wanted is not PairFormat.CSV:
        problem = FieldProblem(
            pointer="/query/with_pictures", message=f"{wanted} holds its pictures anyhow: leave it out"
        )
        raise MalformedError(problem.message, (problem,))
    kind = {
        PairFormat.PICK_A_PIC: _PARQUET,
        PairFormat.HPDV2: _HPDV2,
        PairFormat.CSV: _CSV_ZIP if with_pictures else _CSV,
    }[wanted]
    chosen = (
        source if part is None else replace(source, pairs=tuple(p for p in source.pairs if part_of(p.prompt) is part))
    )
    if not chosen.pairs:
        what = "there is no pair with a vote that counts" if not source.pairs else f"no prompt falls into {part}"
        raise ConflictError(f"{what}: nothing can be exported yet")
    refuse_missing_pictures(chosen)
    file = _file_name(name, part, kind.ending)
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return StreamingResponse(kind.write(chosen), media_type=kind.media_type, headers=headers)


def part_of(prompt: str) -> PairPart:
    """Which part a prompt belongs to, the same on every machine: one in ten is for validation, one for testing."""
    place = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big") % 10
    return (PairPart.VALIDATION, PairPart.TEST)[place] if place < 2 else PairPart.TRAIN


def refuse_missing_pictures(source: PairSource) -> None:
    """Refuses pairs whose pictures are gone, before a file is half sent.

    Raises:
        ConflictError: with the first that is missing.
    """
    for pair in source.pairs:
        for name in (pair.image_0, pair.image_1):
            if not source.pictures[name].is_file():
                raise ConflictError(
                    f"the picture {source.pictures[name]} of the prompt {pair.prompt!r} is gone: bring its folder back"
                )


def _file_name(name: str, part: PairPart | None, ending: str) -> str:
    """A plain name; of a part it is the one by which `datasets` knows the split."""
    if part is not None:
        return f"{part}-00000-of-00001.{ending}"
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.') or 'pairs'}.{ending}"
