"""The CSV table: one line a vote, read back as it was written, harmless in a spreadsheet; bad lines are told."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from backend.errors import MalformedError
from backend.pair_sets.folder import PairSets
from backend.pair_sets.formats import csv_table
from backend.pair_sets.pairs import Pair, PairSource
from tests.backend.pair_sets.conftest import picture


def test_there_is_one_line_a_vote_with_its_provenance(source: PairSource) -> None:
    lines = list(csv.DictReader(io.StringIO(b"".join(csv_table.write(source)).decode())))
    assert [line["rater"] for line in lines] == ["a1", "b2", "c3", "a1", ""]
    assert [line["label_0"] for line in lines] == ["1.0", "1.0", "0.5", "0.5", "0.0"]
    assert [line["choice"] for line in lines] == ["0", "0", "both_bad", "tie", ""]
    first = lines[0]
    assert (first["policy_0"], first["policy_1"], first["seed_0"], first["reward_0"]) == ("base", "tuned", "7", "0.25")
    assert (first["guideline_version"], first["run_0"], first["task"]) == ("2", "r", "single_object")


def test_a_prompt_that_looks_like_a_formula_is_no_formula(source: PairSource) -> None:
    lines = list(csv.DictReader(io.StringIO(b"".join(csv_table.write(source)).decode())))
    assert lines[-1]["prompt"] == "'=two stars"


def test_a_task_that_looks_like_a_formula_is_none_in_the_table_and_is_read_back(
    source: PairSource, pair_sets: PairSets, tmp_path: Path
) -> None:
    tasked = replace(source, pairs=tuple(replace(pair, task="=1+1") for pair in source.pairs))
    lines = list(csv.DictReader(io.StringIO(b"".join(csv_table.write(tasked)).decode())))
    assert {line["task"] for line in lines} == {"'=1+1"}
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(csv_table.write_with_pictures(tasked)))
    with pair_sets.making() as new:
        assert {pair.task for pair in csv_table.read(path, path.name, new)[0]} == {"=1+1"}


def test_a_zip_is_imported_as_it_was_exported(source: PairSource, pair_sets: PairSets, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(csv_table.write_with_pictures(source)))
    with pair_sets.making() as new:
        pairs, _ = csv_table.read(path, path.name, new)
    assert [(pair.prompt, pair.task, pair.image_0, pair.image_1) for pair in pairs] == [
        (pair.prompt, pair.task, pair.image_0, pair.image_1) for pair in source.pairs
    ]
    assert [pair.label_0 for pair in pairs] == [pytest.approx(pair.label_0) for pair in source.pairs]
    votes = [vote for pair in pairs for vote in pair.votes]
    expected = [vote for pair in source.pairs for vote in pair.votes]
    for name in ("label_0", "is_simulated", "choice", "created_at", "guideline_version"):
        assert [getattr(vote, name) for vote in votes] == [getattr(vote, name) for vote in expected]


def test_an_export_is_imported_with_the_same_raters(own: PairSource, pair_sets: PairSets, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(csv_table.write_with_pictures(own)))
    with pair_sets.making() as new:
        pairs, _ = csv_table.read(path, path.name, new)
    assert [[vote.rater for vote in pair.votes] for pair in pairs] == [
        [vote.rater for vote in pair.votes] for pair in own.pairs
    ]


def imported(folder: Path, pair_sets: PairSets, *lines: str) -> list[Pair]:
    for name, value in (("a.png", 10), ("b.png", 80)):
        (folder / name).write_bytes(picture(value))
    (folder / "votes.csv").write_text("\n".join(lines) + "\n")
    with pair_sets.making() as new:
        return csv_table.read(folder / "votes.csv", "votes.csv", new)[0]


def test_a_damaged_zip_is_refused(source: PairSource, pair_sets: PairSets, tmp_path: Path) -> None:
    content = bytearray(b"".join(csv_table.write_with_pictures(source)))
    content[content.index(b"votes.csv") + 20] ^= 0xFF
    path = tmp_path / "damaged.zip"
    path.write_bytes(content)
    with pair_sets.making() as new, pytest.raises(MalformedError, match="the zip cannot be read"):
        csv_table.read(path, path.name, new)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("created_at", "yesterday", "no moment"),
        ("created_at", "2026-05-01", "no moment"),
        ("choice", "left", "no choice"),
    ],
)
def test_what_could_not_be_exported_again_is_refused(
    column: str, value: str, words: str, tmp_path: Path, pair_sets: PairSets
) -> None:
    with pytest.raises(MalformedError, match=words) as refusal:
        imported(tmp_path, pair_sets, f"prompt,image_0,image_1,label_0,{column}", f"a star,a.png,b.png,1,{value}")
    assert refusal.value.errors[0].pointer == f"/rows/0/{column}"


def test_four_columns_are_enough(tmp_path: Path, pair_sets: PairSets) -> None:
    [pair] = imported(tmp_path, pair_sets, "prompt,image_0,image_1,label_0", "a star,a.png,b.png,0.75")
    assert (pair.label_0, pair.votes, pair.task) == (0.75, (), None)


@pytest.mark.parametrize(
    ("line", "pointer", "words"),
    [
        (" ,a.png,b.png,1", "/rows/1/prompt", "the prompt is empty"),
        ("a star,a.png,b.png,left", "/rows/1/label_0", "no label: write 1"),
        ("a star,a.png,b.png,1.5", "/rows/1/label_0", "1.5 is no label"),
        ("a star,a.png,c.png,1", "/rows/1/image_1", "no picture 'c.png'"),
        ("a star,a.png,a.png,1", "/rows/1/image_1", "the same picture as the other"),
        ("a star,,b.png,1", "/rows/1/image_0", "no picture ''"),
        ("a star,votes.csv,b.png,1", "/rows/1/image_0", "cannot be read"),
        ("a star", "/rows/1/label_0", "no label"),
    ],
)
def test_a_bad_line_is_refused_by_line_column_and_cure(
    line: str, pointer: str, words: str, tmp_path: Path, pair_sets: PairSets
) -> None:
    with pytest.raises(MalformedError, match=words) as refusal:
        imported(tmp_path, pair_sets, "prompt,image_0,image_1,label_0", "a star,a.png,b.png,1", line)
    assert [problem.pointer for problem in refusal.value.errors] == [pointer]
    assert list(pair_sets.root.iterdir()) == []


def test_a_table_without_a_needed_column_or_in_another_encoding_is_refused(tmp_path: Path, pair_sets: PairSets) -> None:
    with pytest.raises(MalformedError, match="no column image_1"):
        imported(tmp_path, pair_sets, "prompt,image_0,label_0", "a,a.png,1")
    with pytest.raises(MalformedError, match=r"line 2 cannot be read \(field larger"):
        imported(tmp_path, pair_sets, "prompt,image_0,image_1,label_0", "x" * 200_000)
    (tmp_path / "votes.csv").write_bytes(b"prompt\xff")
    with pair_sets.making() as new, pytest.raises(MalformedError, match="not UTF-8"):
        csv_table.read(tmp_path / "votes.csv", "votes.csv", new)


def test_a_vote_that_is_told_twice_counts_once_and_the_repeats_are_told(tmp_path: Path, pair_sets: PairSets) -> None:
    same, turned = "a star,a.png,b.png,1,ada", "a star,b.png,a.png,0,ada"
    lines = ["prompt,image_0,image_1,label_0,rater", same, same, turned, "a star,a.png,b.png,0,bob"]
    [pair] = imported(tmp_path, pair_sets, *lines)
    assert (pair.label_0, [vote.label_0 for vote in pair.votes]) == (0.5, [1, 0])
    with pair_sets.making() as new:
        assert csv_table.read(tmp_path / "votes.csv", "votes.csv", new)[1] == {"repeated votes": 2}
