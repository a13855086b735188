"""Prompts as files hold them: a line each, CSV, or JSON lines; reading tells each bad row with its cure.

Knows no tables. GenEval's own file is read as JSON lines, and each of its lines is kept whole.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from backend.errors import MalformedError, TooLargeError
from backend.prompt_files import Prompt, content_of
from backend.prompt_sets.geneval import GenEvalLine
from backend.schemas.base import FieldProblem
from backend.schemas.prompt_set import MAX_FILE_BYTES, MAX_PROMPTS, PromptEntry, PromptFormat
from backend.schemas.refusal import refusal
from backend.spreadsheets import as_written, plain

_NUM_PROBLEMS = 20
_GENEVAL_KEYS = {"tag", "include", "prompt"}
_TAG_MARK = ";"
_SHOWN = 60

Row = tuple[int, Mapping[str, Any]]


def read_prompts(content: bytes, wanted: PromptFormat) -> tuple[Prompt, ...]:
    """The prompts of a file, in order.

    Raises:
        MalformedError: with row, value and cure of whatever cannot be read; nothing is taken then.
        TooLargeError: when the file is larger than any that makes sense.
    """
    if len(content) > MAX_FILE_BYTES:
        raise TooLargeError(f"the file has {len(content)} bytes: at most {MAX_FILE_BYTES} are read, so split it")
    prompts, problems = [], []
    for number, row in _ROWS[wanted](_decoded(content)):
        try:
            prompts.append(_prompt(row))
        except ValidationError as error:
            problems += [_told(number, item) for item in error.errors()]
        except ValueError as error:
            problems.append(FieldProblem(pointer=f"/content/{number}", message=f"row {number}: {error}"))
        if len(problems) >= _NUM_PROBLEMS:
            break
    if problems:
        raise MalformedError(f"{problems[0].message}; nothing was stored", tuple(problems[:_NUM_PROBLEMS]))
    if not 0 < len(prompts) <= MAX_PROMPTS:
        raise MalformedError(f"the file has {len(prompts)} prompts: give 1 to {MAX_PROMPTS}")
    return tuple(prompts)


def write_prompts(prompts: Iterable[Prompt], wanted: PromptFormat) -> bytes:
    """The prompts as a file of a format; text keeps neither tasks nor tags, CSV not GenEval's lines."""
    if wanted is PromptFormat.JSONL:
        return content_of(prompts)
    if wanted is PromptFormat.TEXT:
        return "".join(f"{' '.join(each.text.splitlines())}\n" for each in prompts).encode()
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("text", "task", "tags"))
    cells = ((each.text, each.task or "", _TAG_MARK.join(each.tags)) for each in prompts)
    writer.writerows(tuple(map(plain, row)) for row in cells)
    return buffer.getvalue().encode()


def entry_prompts(entries: Sequence[PromptEntry]) -> list[Prompt]:
    """Prompts of an edit as they are stored.

    Raises:
        MalformedError: when GenEval's line of one cannot be judged by, with its row, counted from 1.
    """
    prompts, problems = [], []
    for number, entry in enumerate(entries, 1):
        try:
            prompts.append(_entry_prompt(entry))
        except ValidationError as error:
            told = [_told(number, item) for item in error.errors()]
            problems += [each.model_copy(update={"pointer": f"/prompts/{number - 1}/geneval"}) for each in told]
    if problems:
        raise MalformedError(f"{problems[0].message}; nothing was stored", tuple(problems[:_NUM_PROBLEMS]))
    return prompts


def _entry_prompt(entry: PromptEntry) -> Prompt:
    """A prompt as it is stored; ValidationError where GenEval's line of it cannot be judged by."""
    if entry.geneval is not None:
        GenEvalLine.model_validate(entry.geneval)
    return Prompt(entry.text, entry.task, tuple(dict.fromkeys(entry.tags)), entry.geneval)


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise MalformedError(
            f"row {row}: byte 0x{content[error.start]:02x} is no UTF-8: save the file as UTF-8, then send it again"
        ) from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise MalformedError(f"row {row} has a zero byte, as UTF-16 and binary files do: save the file as UTF-8")
    return text


def _text_rows(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, {"text": line}


def _csv_rows(text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if not {"text", "prompt"} & set(names):
            raise MalformedError(f"row 1: the header is {names}: name a column text or prompt")
        reader.fieldnames = names
        for row in reader:
            if None in row:
                raise MalformedError(
                    f"row {reader.line_num} has more cells than the header's {len(names)}: put texts with commas "
                    "between quotes"
                )
            text_of_row, task, told = (
                as_written(row.get(name) or "") for name in ("text" if "text" in names else "prompt", "task", "tags")
            )
            tags = [tag.strip() for tag in told.split(_TAG_MARK) if tag.strip()]
            yield reader.line_num, {"text": text_of_row, "task": task or None, "tags": tags}
    except csv.Error as error:
        raise MalformedError(
            f"row {reader.line_num}: {error}: close every quote, and double those in a text"
        ) from error


def _json_rows(text: str) -> Iterator[Row]:
    # Not splitlines(): a text may hold the separators that it breaks at.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise MalformedError(f"row {number} is no JSON ({error}): write one object a line") from error
        if not isinstance(row, dict):
            raise MalformedError(f"row {number} is a {type(row).__name__}: write an object with text")
        yield number, row


def _prompt(row: Mapping[str, Any]) -> Prompt:
    """A row as a prompt. A line of GenEval's file is told by its keys.

    Raises:
        ValueError: when a value is out of its bounds, or a key is unknown.
    """
    if row.keys() >= _GENEVAL_KEYS:
        GenEvalLine.model_validate(row)
        return _entry_prompt(PromptEntry(text=row["prompt"], task=row["tag"], geneval=dict(row)))
    values = {("text" if name == "prompt" else name): value for name, value in row.items()}
    return _entry_prompt(PromptEntry.model_validate({"text": "", **values}))


def _told(number: int, item: Any) -> FieldProblem:
    where = ".".join(map(str, item["loc"]))
    shown, words = repr(item.get("input")), refusal(item)
    if shown not in words and item["type"] != "missing":
        cut = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}… ({len(shown)} characters)"
        words = f"{words}, not {cut}"
    message = f"row {number}, {where}: {words}; correct or remove the row"
    return FieldProblem(pointer=f"/content/{number}/{where}", message=message)


_ROWS: Mapping[PromptFormat, Callable[[str], Iterator[Row]]] = {
    PromptFormat.TEXT: _text_rows,
    PromptFormat.CSV: _csv_rows,
    PromptFormat.JSONL: _json_rows,
}
