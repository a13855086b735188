"""HPDv2's JSON: lower ranks are better, every two pictures of an entry are a pair, and bad entries are told."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import MalformedError
from backend.pair_sets.folder import PairSets
from backend.pair_sets.formats import hpdv2, rows
from backend.pair_sets.pairs import Pair, PairSource
from tests.backend.pair_sets.conftest import name_of, picture

NAMES = {each: name_of(picture(value), "png") for each, value in (("a.png", 10), ("b.png", 80), ("c.png", 150))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures where HPDv2 keeps those of test.json."""
    pictures = tmp_path / "hpd" / "test"
    pictures.mkdir(parents=True)
    for name, value in (("a.png", 10), ("b.png", 80), ("c.png", 150)):
        (pictures / name).write_bytes(picture(value))
    return pictures.parent


def imported(folder: Path, pair_sets: PairSets, *entries: Any) -> list[Pair]:
    (folder / "test.json").write_text(json.dumps(entries))
    with pair_sets.making() as new:
        return hpdv2.read(folder, "hpd", new)[0]


def entry(**changes: Any) -> dict[str, Any]:
    return {"prompt": "a star", "image_path": ["a.png", "b.png"], "rank": [1, 2]} | changes


def test_the_zip_holds_entries_pictures_and_provenance(source: PairSource) -> None:
    with zipfile.ZipFile(io.BytesIO(b"".join(hpdv2.write(source)))) as archive:
        assert archive.testzip() is None
        first, tie, last = json.loads(archive.read("test.json"))
        assert set(first["image_path"]) < set(archive.namelist())
        assert json.loads(archive.read("provenance.json")) == {"source": source.about, "left_out": source.left_out}
        assert len([name for name in archive.namelist() if name.startswith("images/")]) == 4
    assert (first["rank"], tie["rank"], last["rank"]) == ([1, 2], [1, 1], [2, 1])
    assert first["raw_annotations"][0] == {
        "rank": [1, 2],
        "user_hash": "a1",
        "is_simulated": False,
        "choice": "0",
        "guideline_version": 2,
        "created_at": "2026-05-01T10:00:00+00:00",
    }
    assert first["raw_annotations"][2]["rank"] == [1, 1]
    assert first["raw_annotations"][2]["is_simulated"]


def test_an_export_is_imported_with_every_vote(source: PairSource, pair_sets: PairSets, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(hpdv2.write(source)))
    with pair_sets.making() as new:
        pairs, _ = hpdv2.read(path, path.name, new)
        assert {each.name for each in new.folder.iterdir()} == set(source.pictures)
    assert [(pair.prompt, pair.image_0, pair.image_1) for pair in pairs] == [
        (pair.prompt, pair.image_0, pair.image_1) for pair in source.pairs
    ]
    assert [pair.label_0 for pair in pairs] == [pytest.approx(pair.label_0) for pair in source.pairs]
    votes, expected = ([vote for pair in each for vote in pair.votes] for each in (pairs, source.pairs))
    for name in ("label_0", "is_simulated", "choice", "created_at", "guideline_version"):
        assert [getattr(vote, name) for vote in votes] == [getattr(vote, name) for vote in expected], name


def test_an_export_is_imported_with_tasks_shares_and_the_same_raters(
    own: PairSource, pair_sets: PairSets, tmp_path: Path
) -> None:
    soft = replace(own.pairs[2], label_0=1 / 3)
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(hpdv2.write(replace(own, pairs=(*own.pairs[:2], soft)))))
    with pair_sets.making() as new:
        pairs, _ = hpdv2.read(path, path.name, new)
    assert [pair.task for pair in pairs] == [pair.task for pair in own.pairs]
    assert (pairs[2].label_0, pairs[2].votes) == (1 / 3, ())
    assert [[vote.rater for vote in pair.votes] for pair in pairs] == [
        [vote.rater for vote in pair.votes] for pair in own.pairs
    ]


def test_of_a_share_that_contradicts_the_ranks_or_is_anothers_the_ranks_count(
    folder: Path, pair_sets: PairSets
) -> None:
    for changes in ({"label_0": 0.25, "provenance": {}}, {"label_0": 0.75}, {"label_0": "x", "provenance": {}}):
        [pair] = imported(folder, pair_sets, entry(**changes))
        assert pair.label_0 == 1
    # A hash of somebody else's says nothing of this studio's raters, so it is hashed as a name is.
    [pair] = imported(folder, pair_sets, entry(raw_annotations=[{"rank": [1, 2], "user_hash": "0" * 16}]))
    assert pair.votes[0].rater != "0" * 16


def test_the_benchmarks_own_entries_are_read(folder: Path, pair_sets: PairSets) -> None:
    annotations = [{"rank": [2, 0, 1], "user_hash": "u"}, {"rank": [0, 0, 1], "user_hash": "v"}]
    pairs = imported(
        folder,
        pair_sets,
        entry(image_path=["a.png", "b.png", "c.png"], rank=[1, 0, 2], raw_annotations=annotations),
    )
    assert [(pair.image_0, pair.image_1) for pair in pairs] == [
        (NAMES["a.png"], NAMES["b.png"]),
        (NAMES["a.png"], NAMES["c.png"]),
        (NAMES["b.png"], NAMES["c.png"]),
    ]
    assert [[vote.label_0 for vote in pair.votes] for pair in pairs] == [[0, 0.5], [0, 1], [1, 1]]


def test_the_training_files_entries_are_read(folder: Path, pair_sets: PairSets) -> None:
    trained = {"prompt": "x", "file_path": ["a.png", "b.png"], "human_preference": [0, 1], "user_hash": "u"}
    [pair] = imported(folder, pair_sets, trained)
    assert (pair.label_0, len(pair.votes)) == (0.0, 1)
    [pair] = imported(folder, pair_sets, entry(rank=[3, 3]))
    assert (pair.label_0, pair.votes) == (0.5, ())


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"prompt": ""}, "/rows/0/prompt", "the prompt is empty"),
        ({"prompt": "half \ud800"}, "/rows/0/prompt", "a character that is none"),
        ({"prompt": "a" * 10_001}, "/rows/0/prompt", "10001 characters"),
        ({"image_path": ["a.png"]}, "/rows/0/image_path", "two pictures or more"),
        ({"image_path": ["a.png"] * 65}, "/rows/0/image_path", "65 pictures, at most 64 are read: split the entry"),
        ({"image_path": ["a.png", "a.png"]}, "/rows/0/image_path/1", "the same picture as the other: name two"),
        ({"image_path": ["a.png", "z.png"]}, "/rows/0/image_path/1", "no picture 'z.png' beside the table"),
        ({"image_path": ["a.png", "../../source-10.png"]}, "/rows/0/image_path/1", "no picture"),
        ({"image_path": ["a.png", "/etc/hostname"]}, "/rows/0/image_path/1", "no picture"),
        ({"rank": [1, float("nan")]}, "/rows/0/rank", "no list of 2 numbers"),
        ({"rank": [1]}, "/rows/0/rank", "no list of 2 numbers"),
        ({"raw_annotations": [{"rank": [1, 2], "choice": 3}]}, "/rows/0/raw_annotations/0/choice", "3 is no choice"),
        ({"raw_annotations": [{"rank": [1, 2], "created_at": 3}]}, "/rows/0/raw_annotations/0/created_at", "no moment"),
        ({"raw_annotations": [{"rank": ["a", 1]}]}, "/rows/0/raw_annotations/0/rank", "no list of 2 numbers"),
    ],
)
def test_a_bad_entry_is_refused_by_place_and_cure(
    changes: dict[str, Any], pointer: str, words: str, folder: Path, source: PairSource, pair_sets: PairSets
) -> None:
    with pytest.raises(MalformedError, match=words) as refusal:
        imported(folder, pair_sets, entry(**changes))
    assert refusal.value.errors[0].pointer == pointer


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, source: PairSource, pair_sets: PairSets) -> None:
    (folder / "out.png").symlink_to(folder.parent / "source-10.png")
    with pytest.raises(MalformedError, match=r"no picture 'out\.png'"):
        imported(folder, pair_sets, entry(image_path=["a.png", "out.png"]))


def test_a_file_that_is_no_list_and_a_folder_of_two_tables_are_refused(folder: Path, pair_sets: PairSets) -> None:
    (folder / "test.json").write_text("{")
    with pair_sets.making() as new, pytest.raises(MalformedError, match="JSON cannot be read"):
        hpdv2.read(folder, "hpd", new)
    (folder / "test.json").write_text("{}")
    with pair_sets.making() as new, pytest.raises(MalformedError, match="no list of entries"):
        hpdv2.read(folder, "hpd", new)
    (folder / "test.json").write_text("[" * 100_000)
    with pair_sets.making() as new, pytest.raises(MalformedError, match="JSON cannot be read"):
        hpdv2.read(folder, "hpd", new)
    (folder / "train.json").write_text("[]")
    with pair_sets.making() as new, pytest.raises(MalformedError, match=r"2 \.json files"):
        hpdv2.read(folder, "hpd", new)


def test_a_file_of_more_pairs_than_are_read_is_refused_before_they_are_made(
    folder: Path, pair_sets: PairSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST_PAIRS", 2)
    three = entry(image_path=["a.png", "b.png", "c.png"], rank=[1, 2, 3])
    with pytest.raises(MalformedError, match="more than 2 pairs, as far as row 0: split it"):
        imported(folder, pair_sets, three)
