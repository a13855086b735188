"""The Parquet file is what PickScore's trainer reads, and a bad row of anybody's is told by row and column."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from backend.errors import MalformedError
from backend.pair_sets.folder import PairSets
from backend.pair_sets.formats import pick_a_pic
from backend.pair_sets.pairs import Pair, PairSource
from tests.backend.pair_sets.conftest import picture


@pytest.fixture
def written(source: PairSource, tmp_path: Path) -> Path:
    path = tmp_path / "train-00000-of-00001.parquet"
    path.write_bytes(b"".join(pick_a_pic.write(source)))
    return path


def imported(path: Path, pair_sets: PairSets) -> list[Pair]:
    with pair_sets.making() as new:
        return pick_a_pic.read(path, path.name, new)[0]


def rows_of(**changes: Any) -> dict[str, list[Any]]:
    """Two rows of the least that Pick-a-Pic's readers need."""
    table: dict[str, list[Any]] = {
        "caption": ["a star", "a star"],
        "jpg_0": [picture(1, "JPEG"), picture(1, "JPEG")],
        "jpg_1": [picture(200, "JPEG"), picture(200, "JPEG")],
        "label_0": [1.0, 0.5],
        "label_1": [0.0, 0.5],
    }
    return table | changes


def test_the_reading_of_pickscores_trainer_finds_what_it_looks_for(written: Path) -> None:
    # What trainer/datasetss/clip_hf_dataset.py does with its default column names, without the processor.
    table = pq.read_table(written)
    frame = table.to_pandas().drop("__index_level_0__", axis=1)
    examples = [example for example in table.to_pylist() if example["has_label"]]
    assert len(frame) == len(examples) == 5
    for example in examples:
        for column in ("jpg_0", "jpg_1"):
            assert isinstance(example[column], bytes)
            with Image.open(io.BytesIO(example[column])) as image:
                assert image.format == "JPEG"
                assert image.convert("RGB").size == (8, 8)
        labels = np.array([example["label_0"], example["label_1"]])
        assert labels.dtype == np.float64
        assert labels.sum() == 1
    assert [example["num_example_per_prompt"] for example in examples] == [4, 4, 4, 4, 1]
    assert [example["label_0"] for example in examples] == [1, 1, 0.5, 0.5, 0]
    assert [example["are_different"] for example in examples] == [True, True, False, False, True]
    best = [example["best_image_uid"] for example in examples]
    assert best[:4] == [examples[0]["image_0_uid"]] * 2 + ["tie"] * 2
    assert best[4] == examples[4]["image_1_uid"]
    assert table.schema.field("user_id").type == table.schema.field("ranking_id").type == pa.int64()
    assert len({example["user_id"] for example in examples[:3]}) == 3
    assert b"guideline" in table.schema.metadata[b"unmask_studio"]


def test_the_file_is_sent_in_parts(source: PairSource) -> None:
    many = PairSource(source.pairs * 40, source.pictures, source.about, {})
    parts = list(pick_a_pic.write(many))
    assert len(parts) > 5
    assert pq.read_table(io.BytesIO(b"".join(parts))).num_rows == 200


def test_an_export_is_imported_with_its_votes_and_programs(
    written: Path, source: PairSource, pair_sets: PairSets
) -> None:
    pairs = imported(written, pair_sets)
    assert [(pair.prompt, pair.label_0) for pair in pairs] == [
        (pair.prompt, pytest.approx(pair.label_0)) for pair in source.pairs
    ]
    assert [vote.is_simulated for vote in pairs[0].votes] == [False, False, True]
    assert [vote.choice for vote in pairs[0].votes] == ["0", "0", "both_bad"]
    assert pairs[0].votes[0].guideline_version == 2
    assert pairs[0].votes[0].created_at == "2026-05-01T10:00:00+00:00"
    assert pairs[0].votes[0].rater == pairs[1].votes[0].rater
    assert pairs[2].votes == ()
    assert (pairs[0].provenance["model_0"], pairs[0].provenance["model_1"]) == ("base", "tuned")


def test_an_export_is_imported_with_tasks_and_the_same_raters(
    own: PairSource, pair_sets: PairSets, tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"".join(pick_a_pic.write(own)))
    pairs = imported(path, pair_sets)
    assert [pair.task for pair in pairs] == [pair.task for pair in own.pairs]
    assert [[vote.rater for vote in pair.votes] for pair in pairs] == [
        [vote.rater for vote in pair.votes] for pair in own.pairs
    ]


@pytest.mark.parametrize(
    ("unit", "zone", "expected"),
    [
        ("us", None, "2026-05-01T10:00:00.000001+00:00"),
        ("us", "Europe/Berlin", "2026-05-01T10:00:00.000001+00:00"),
        ("ns", "America/New_York", "2026-05-01T10:00:00.000001+00:00"),
    ],
)
def test_a_moment_is_told_in_utc_whatever_the_columns_zone(
    unit: str, zone: str | None, expected: str, tmp_path: Path, pair_sets: PairSets
) -> None:
    # 2026-05-01T10:00:00.000001 in UTC, and in nanoseconds 789 more.
    counted = 1_777_629_600_000_001
    values = [counted * 1000 + 789 if unit == "ns" else counted] * 2
    path = tmp_path / "rows.parquet"
    column = pa.array(values, pa.timestamp(unit, tz=zone))
    pq.write_table(pa.table(rows_of(user_id=[5, 6], created_at=column)), path)
    [pair] = imported(path, pair_sets)
    assert [vote.created_at for vote in pair.votes] == [expected, expected]


def test_a_pair_shown_the_other_way_round_is_the_same_pair(tmp_path: Path, pair_sets: PairSets) -> None:
    turned = rows_of()
    turned["jpg_0"][1], turned["jpg_1"][1] = turned["jpg_1"][1], turned["jpg_0"][1]
    turned |= {"label_0": [1.0, 0.0], "label_1": [0.0, 1.0], "user_id": [5, 6]}
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(turned), path)
    [pair] = imported(path, pair_sets)
    assert (pair.label_0, [vote.label_0 for vote in pair.votes]) == (1.0, [1.0, 1.0])
    assert [vote.choice for vote in pair.votes] == ["0", "0"]


def test_columns_of_other_kinds_than_ours_do_no_harm(tmp_path: Path, pair_sets: PairSets) -> None:
    odd = rows_of(
        user_id=["u", "v"], choice=[["0"], None], provenance=[b"x", None], created_at=["now", ""], model_0=[1.5, None]
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(odd), path)
    [pair] = imported(path, pair_sets)
    assert [vote.choice for vote in pair.votes] == ["0", "tie"]
    assert [vote.created_at for vote in pair.votes] == [None, None]
    assert pair.provenance["model_0"] == "1.5"


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path, pair_sets: PairSets) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(pa.table(rows_of(has_label=[True, False])), folder / "train-0.parquet")
    with pair_sets.making() as new:
        pairs, left_out = pick_a_pic.read(folder, "data", new)
    assert (len(pairs), left_out) == (1, {"rows without a label": 1})


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"caption": ["a star", " "]}, "/rows/1/caption", "the prompt is empty"),
        ({"label_0": [1.0, 2.0]}, "/rows/1/label_0", "2.0 is no label: write 1"),
        ({"label_1": [1.0, 0.5]}, "/rows/0/label_0", "do not add up to 1"),
        ({"label_0": [None, 0.5]}, "/rows/0/label_0", "None is no label"),
        ({"jpg_1": [picture(2, "JPEG"), b"nothing"]}, "/rows/1/jpg_1", "no whole PNG, JPEG or WebP: encode"),
        ({"jpg_0": [None, picture(2)]}, "/rows/0/jpg_0", "bytes are missing"),
    ],
)
def test_a_bad_row_is_refused_by_row_column_and_cure(
    changes: dict[str, Any], pointer: str, words: str, tmp_path: Path, pair_sets: PairSets
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(rows_of(**changes)), path)
    with pytest.raises(MalformedError, match=words) as refusal:
        imported(path, pair_sets)
    assert [problem.pointer for problem in refusal.value.errors] == [pointer]
    assert list(pair_sets.root.iterdir()) == []


def test_a_missing_column_and_a_file_of_another_kind_are_refused(tmp_path: Path, pair_sets: PairSets) -> None:
    path = tmp_path / "rows.parquet"
    table = rows_of()
    del table["label_1"]
    pq.write_table(pa.table(table), path)
    with pytest.raises(MalformedError, match="no column label_1") as refusal:
        imported(path, pair_sets)
    assert refusal.value.errors[0].pointer == "/columns/label_1"
    path.write_bytes(b"no parquet at all")
    with pytest.raises(MalformedError, match="no Parquet file"):
        imported(path, pair_sets)
    pq.write_table(pa.table(rows_of(has_label=[False, False])), path)
    with pytest.raises(MalformedError, match="no pair with a label"):
        imported(path, pair_sets)
    with pytest.raises(MalformedError, match=r"no \.parquet file"):
        imported(pair_sets.root, pair_sets)


def test_of_many_bad_rows_the_first_twenty_are_told(tmp_path: Path, pair_sets: PairSets) -> None:
    path = tmp_path / "rows.parquet"
    many = {name: values * 30 for name, values in rows_of(label_0=[7.0, 7.0]).items()}
    pq.write_table(pa.table(many), path)
    with pytest.raises(MalformedError, match=r"60 values of rows\.parquet are refused") as refusal:
        imported(path, pair_sets)
    assert len(refusal.value.errors) == 20
