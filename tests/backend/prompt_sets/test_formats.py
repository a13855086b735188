"""Reading prompts: three formats, GenEval's file, and words for each bad row."""

from __future__ import annotations

import csv
import json

import pytest

from backend.errors import MalformedError, TooLargeError
from backend.prompt_files import Prompt, content_of, prompt_of
from backend.prompt_sets.formats import read_prompts, write_prompts
from backend.schemas.prompt_set import MAX_FILE_BYTES, PromptFormat

TEXT, CSV, JSONL = PromptFormat.TEXT, PromptFormat.CSV, PromptFormat.JSONL
GENEVAL = {
    "tag": "counting",
    "include": [{"class": "bench", "count": 2}],
    "exclude": [{"class": "bench", "count": 3}],
    "prompt": "a photo of two benches",
}


def test_text_is_a_prompt_a_line_and_a_mark_at_its_start_is_no_letter() -> None:
    found = read_prompts("\ufeffa star\n\n  a circle \r\nein Kreuz, schräg\n".encode(), TEXT)
    assert [each.text for each in found] == ["a star", "a circle", "ein Kreuz, schräg"]


def test_csv_has_tasks_and_tags_and_quoted_commas() -> None:
    found = read_prompts(b'prompt,task,tags\n"a star, red",colors,short; hard\na circle,,\n', CSV)
    assert found == (Prompt("a star, red", "colors", ("short", "hard")), Prompt("a circle"))


def test_genevals_own_file_keeps_each_line_whole_and_its_tag_is_the_task() -> None:
    found = read_prompts((json.dumps(GENEVAL) + "\n").encode(), JSONL)
    assert found == (Prompt("a photo of two benches", "counting", (), GENEVAL),)
    assert read_prompts(write_prompts(found, JSONL), JSONL) == found


@pytest.mark.parametrize("wanted", [CSV, JSONL])
def test_what_is_written_is_read_back(wanted: PromptFormat) -> None:
    prompts = (Prompt('say "a, b"', "colors", ("one", "two")), Prompt("eine Straße\u2028zwei"), Prompt("=1+1"))
    assert read_prompts(write_prompts(prompts, wanted), wanted) == prompts
    assert tuple(map(prompt_of, content_of(prompts).split(b"\n")[:-1])) == prompts


def test_no_cell_of_a_csv_file_is_a_formula_and_each_is_read_back() -> None:
    prompts = (Prompt('=HYPERLINK("http://a")', "=1+1", ("@SUM(A1)", "-2")), Prompt("'=2", "'-x", ("plain",)))
    content = write_prompts(prompts, CSV)
    cells = [cell for row in csv.reader(content.decode().splitlines()) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert read_prompts(content, CSV) == prompts


@pytest.mark.parametrize(
    ("content", "wanted", "words"),
    [
        (b"a star\n\xff\xfea\n", TEXT, "row 2: byte 0xff is no UTF-8"),
        ("a star".encode("utf-16-le"), TEXT, "zero byte"),
        (b"a star\n" + b"x" * 1001, TEXT, "row 2, text: .*1000 characters.*1003 characters"),
        (b"", TEXT, "has 0 prompts: give 1 to 10000"),
        (b"x\n" * 10_001, TEXT, "has 10001 prompts"),
        (b"caption\na star\n", CSV, "name a column text or prompt"),
        (b"text\na, b\n", CSV, "row 2 has more cells than the header's 1"),
        (b'text\n"a star\n', CSV, "close every quote"),
        (b'{"text": "a star"}\n{"text": 3}\n', JSONL, "row 2, text: .*not 3"),
        (b'{"text": "a star", "colour": "red"}\n', JSONL, "row 1, colour"),
        (b'{"text": ""}\n', JSONL, "row 1, text"),
        (b"[1]\n", JSONL, "row 1 is a list"),
        (b"{", JSONL, "row 1 is no JSON"),
    ],
)
def test_a_bad_row_is_told_with_its_place_and_cure(content: bytes, wanted: PromptFormat, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        read_prompts(content, wanted)


def test_all_bad_rows_are_told_at_once_up_to_twenty() -> None:
    rows = b"".join(b'{"text": 1}\n' for _ in range(30))
    with pytest.raises(MalformedError) as refused:
        read_prompts(rows, JSONL)
    assert [problem.pointer for problem in refused.value.errors] == [f"/content/{row}/text" for row in range(1, 21)]


def test_a_file_beyond_all_sense_is_not_read() -> None:
    with pytest.raises(TooLargeError, match="split it"):
        read_prompts(b"x" * (MAX_FILE_BYTES + 1), TEXT)


@pytest.mark.parametrize(
    ("clauses", "words"),
    [
        ([], "at least 1"),
        ([{"class": "cat"}], "count"),
        ([{"class": "cat", "count": "2"}], "not '2'"),
        ([{"class": "cat", "count": 0}], "not 0"),
        ([{"class": "cat", "count": 1, "position": ["beside", 0]}], "left of"),
        ([{"class": "cat", "count": 1, "position": ["above", 0]}], "nothing to stand beside"),
        ([{"class": "cat", "count": 1}, {"class": "dog", "count": 1, "position": ["above", 1]}], "from 0 to 0"),
    ],
)
def test_a_geneval_line_that_no_picture_can_be_judged_by_is_told_with_its_row(
    clauses: list[object], words: str
) -> None:
    lines = [
        {"tag": "position", "include": [{"class": "cat", "count": 1}], "prompt": "a photo of a cat"},
        {"tag": "position", "include": clauses, "prompt": "a photo of a cat above a dog"},
    ]
    with pytest.raises(MalformedError, match="row 2") as refused:
        read_prompts("\n".join(map(json.dumps, lines)).encode(), PromptFormat.JSONL)
    assert words in str(refused.value)
