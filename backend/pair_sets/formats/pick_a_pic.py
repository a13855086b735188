"""Pick-a-Pic's Parquet columns (Kirstain et al. 2023, arXiv 2305.01569), one row a vote, for PickScore's trainer.

That trainer opens the file by `datasets`, keeps rows by `has_label`, drops `__index_level_0__` where it limits
examples, decodes `jpg_0` and `jpg_1`, and weighs a row by one over `num_example_per_prompt`. Pictures are written as
JPEG of quality 95 without chroma subsampling. The columns after `__index_level_0__` are this program's own.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from backend.pair_sets.folder import NewPairSet
from backend.pair_sets.formats.rows import Gathering, choice_of, label_problem, prompt_problem, refuse_file
from backend.pair_sets.formats.streaming import Outbox
from backend.pair_sets.pairs import Pair, PairSource, PairVote
from backend.schemas.preference import VoteOutcome
from backend.schemas.rater_hash import told_rater

NEEDED = ("caption", "jpg_0", "jpg_1", "label_0", "label_1")
_OWN = ("task", "rater", "is_simulated", "choice", "guideline_version", "provenance")
_LOOKED_AT = (*NEEDED, "has_label", "user_id", "created_at", "model_0", "model_1", *_OWN)
_ROWS_AT_ONCE = 32
_SUFFIX = ".parquet"


def write(source: PairSource) -> Iterator[bytes]:
    """The file, some rows at a time. A pair without single votes is one row with its label."""
    import pyarrow as pa  # noqa: PLC0415 - 50 MB that only an export needs
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = _schema(pa).with_metadata(
        {"unmask_studio": json.dumps({"source": source.about, "left_out": source.left_out})}
    )
    outbox = Outbox()
    with pq.ParquetWriter(outbox, schema, compression="zstd") as writer:
        waiting: list[dict[str, Any]] = []
        for row in _rows(source):
            waiting.append(row)
            if len(waiting) == _ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
                waiting = []
                yield outbox.take()
        if waiting:
            writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
    yield outbox.take()


def _schema(pa: Any) -> Any:
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    kinds = {
        "are_different": pa.bool_(),
        "best_image_uid": text,
        "caption": text,
        "created_at": pa.timestamp("ns"),
        "has_label": pa.bool_(),
        "image_0_uid": text,
        "image_0_url": text,
        "image_1_uid": text,
        "image_1_url": text,
        "jpg_0": pa.binary(),
        "jpg_1": pa.binary(),
        "label_0": real,
        "label_1": real,
        "model_0": text,
        "model_1": text,
        "ranking_id": whole,
        "user_id": whole,
        "num_example_per_prompt": whole,
        "__index_level_0__": whole,
        "task": text,
        "rater": text,
        "is_simulated": pa.bool_(),
        "choice": text,
        "guideline_version": whole,
        "provenance": text,
    }
    return pa.schema(list(kinds.items()))


def _rows(source: PairSource) -> Iterator[dict[str, Any]]:
    per_prompt: Counter[str] = Counter()
    for pair in source.pairs:
        per_prompt[pair.prompt] += max(1, len(pair.votes))
    # Pairs of one sample stand near each other.
    encoded = lru_cache(maxsize=32)(lambda name: _jpeg(source.pictures[name]))
    number = 0
    for pair in source.pairs:
        for vote in pair.votes or (None,):
            label = pair.label_0 if vote is None else vote.label_0
            yield _row(pair, vote, label, number) | {
                "jpg_0": encoded(pair.image_0),
                "jpg_1": encoded(pair.image_1),
                "num_example_per_prompt": per_prompt[pair.prompt],
            }
            number += 1


def _row(pair: Pair, vote: PairVote | None, label: float, number: int) -> dict[str, Any]:
    first, second = (name.partition(".")[0] for name in (pair.image_0, pair.image_1))
    moment = None if vote is None or vote.created_at is None else datetime.fromisoformat(vote.created_at)
    return {
        "are_different": label != 0.5,
        "best_image_uid": {0.5: "tie"}.get(label, first if label > 0.5 else second),
        "caption": pair.prompt,
        "created_at": None if moment is None else moment.astimezone(UTC).replace(tzinfo=None),
        "has_label": True,
        "image_0_uid": first,
        "image_0_url": "",
        "image_1_uid": second,
        "image_1_url": "",
        "label_0": label,
        "label_1": 1 - label,
        "model_0": _model(pair, 0),
        "model_1": _model(pair, 1),
        "ranking_id": number,
        "user_id": 0 if vote is None else _number(vote.rater),
        "__index_level_0__": number,
        "task": pair.task,
        "rater": None if vote is None else vote.rater,
        "is_simulated": vote is not None and vote.is_simulated,
        "choice": None if vote is None else vote.choice,
        "guideline_version": None if vote is None else vote.guideline_version,
        "provenance": json.dumps(pair.provenance, sort_keys=True),
    }


def _model(pair: Pair, place: int) -> str:
    known = pair.provenance.get(f"picture_{place}") or {}
    return str(pair.provenance.get(f"model_{place}") or known.get("policy") or "unknown")


def _number(rater: str) -> int:
    """A rater's hash as the column's 64-bit integer, never negative."""
    return int.from_bytes(hashlib.sha256(rater.encode()).digest()[:8], "big") >> 1


def _jpeg(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:3] == b"\xff\xd8\xff":
        return content
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        picture.convert("RGB").save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def read(path: Path, name: str, new: NewPairSet) -> tuple[list[Pair], dict[str, int]]:
    """Pairs of one Parquet file, or of all in a folder; their pictures go into the new set.

    Raises:
        MalformedError: with row (from 0, over all files), column and cure of what cannot be read.
    """
    files = sorted(path.rglob(f"*{_SUFFIX}")) if path.is_dir() else [path]
    if not files:
        refuse_file(name, "", f"there is no {_SUFFIX} file in it")
    gathering, row = Gathering(name), 0
    for file in files:
        for body in _bodies(file, file.name if path.is_dir() else name):
            _take(gathering, new, row, body)
            row += 1
    return gathering.finish(), dict(gathering.left_out)


def _bodies(path: Path, name: str) -> Iterator[dict[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415 - see above
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            for column in NEEDED:
                if column not in there:
                    refuse_file(
                        name, column, f"it has no column {column}: Pick-a-Pic's are {', '.join(NEEDED)} and more"
                    )
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[each for each in _LOOKED_AT if each in there]):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        refuse_file(name, "", f"it is no Parquet file that can be read ({str(error).splitlines()[0]}): export it anew")


def _take(gathering: Gathering, new: NewPairSet, row: int, body: dict[str, Any]) -> None:
    if body.get("has_label", True) in (False, 0, 0.0):
        gathering.left_out["rows without a label"] += 1
        return
    if (problem := prompt_problem(body["caption"])) is not None:
        gathering.refuse(row, "caption", problem)
        return
    if (problem := label_problem(body["label_0"], body["label_1"])) is not None:
        gathering.refuse(row, "label_0", problem)
        return
    names = [_keep(gathering, new, row, body, column) for column in ("jpg_0", "jpg_1")]
    if None not in names:
        gathering.add(_pair(row, body, str(names[0]), str(names[1])), row, "jpg_1")


def _keep(gathering: Gathering, new: NewPairSet, row: int, body: dict[str, Any], column: str) -> str | None:
    content = body[column]
    # `datasets` writes a picture as {"bytes", "path"} where its column is declared to be one.
    content = content.get("bytes") if isinstance(content, dict) else content
    if not isinstance(content, bytes):
        gathering.refuse(
            row, column, "the picture's bytes are missing: write the encoded picture itself into the column"
        )
        return None
    try:
        return new.add_picture(content)
    except ValueError as error:
        gathering.refuse(row, column, f"{error}: encode the picture anew, or remove the row")
        return None


def _pair(row: int, body: dict[str, Any], image_0: str, image_1: str) -> Pair:
    label = float(body["label_0"])
    is_own = isinstance(body.get("provenance"), str)
    user = (body.get("rater") if is_own else None) or body.get("user_id")
    task = body.get("task") if is_own else None
    choice, version = body.get("choice"), body.get("guideline_version")
    vote = PairVote(
        rater=told_rater("pick_a_pic", user, is_own=is_own),
        label_0=label,
        is_simulated=bool(body.get("is_simulated")),
        choice=choice if choice in list(VoteOutcome) else choice_of(label),
        created_at=_moment(body.get("created_at")),
        guideline_version=version if isinstance(version, int) else None,
    )
    told = {"model_0": body.get("model_0"), "model_1": body.get("model_1"), "told": body.get("provenance")}
    provenance = {"row": row} | {key: str(value) for key, value in told.items() if value is not None}
    known = task if isinstance(task, str) and task else None
    return Pair(str(body["caption"]), known, image_0, image_1, label, (vote,) if user else (), provenance)


def _moment(told: Any) -> str | None:
    """A column's moment in UTC, which it is in already where it names no zone, to the microsecond."""
    if not isinstance(told, datetime):
        return None
    # pandas' moments have nanoseconds, which a vote has not: reading what is written cuts them.
    moment = datetime.fromisoformat(told.isoformat())
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
