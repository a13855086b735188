"""A pair set is there whole or not at all, is named by its content, and never changes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from backend.errors import ConflictError, NotFoundError
from backend.pair_sets.folder import NewPairSet, PairSets, picture_ending
from backend.pair_sets.pairs import PairSource, counts_of
from tests.backend.pair_sets.conftest import Keep, picture


def test_a_set_is_named_by_the_hash_of_its_pairs_and_names_pictures_by_theirs(
    source: PairSource, keep: Keep, pair_sets: PairSets
) -> None:
    folder = pair_sets.root / keep(source).sha256
    assert hashlib.sha256((folder / "pairs.jsonl").read_bytes()).hexdigest() == folder.name
    pictures = sorted(folder.glob("*.png"))
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures] == [path.stem for path in pictures]
    assert len(pictures) == 4
    first = json.loads((folder / "pairs.jsonl").read_text().splitlines()[0])
    assert first["label_0"] == pytest.approx(2.5 / 3)
    assert first["label_1"] == pytest.approx(0.5 / 3)
    assert (first["majority"], first["weight"], len(first["votes"])) == (0, 0.5, 3)
    assert first["votes"][2] == {
        "rater": "c3",
        "label_0": 0.5,
        "is_simulated": True,
        "choice": "both_bad",
        "created_at": None,
        "guideline_version": None,
    }


def test_the_manifest_counts_what_the_set_holds(source: PairSource, keep: Keep) -> None:
    found = keep(source, "mine")
    assert (found.name, found.num_pairs, found.num_prompts, found.num_pictures) == ("mine", 3, 2, 4)
    assert (found.num_votes, found.num_ties, found.num_raters, found.num_simulated_raters) == (4, 1, 3, 1)
    assert found.left_out == {"gold pairs": 1}
    assert found.num_bytes > 0


def test_what_was_written_is_read_back(source: PairSource, keep: Keep, pair_sets: PairSets) -> None:
    kept = keep(source)
    again = pair_sets.read(kept.sha256)
    assert again.pairs == source.pairs
    assert set(again.pictures) == set(source.pictures)
    assert all(path.read_bytes() == source.pictures[name].read_bytes() for name, path in again.pictures.items())
    assert counts_of(again.pairs)["num_votes"] == kept.num_votes


def test_the_same_pairs_are_one_set_under_its_first_name(source: PairSource, keep: Keep, pair_sets: PairSets) -> None:
    first, second = keep(source, "first"), keep(source, "second")
    assert second == first
    assert pair_sets.all_sets() == [first]


def test_a_set_that_fails_midway_leaves_nothing(source: PairSource, keep: Keep, pair_sets: PairSets) -> None:
    def fail(new: NewPairSet) -> None:
        assert any(new.folder.iterdir())
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        keep(source, change=fail)
    assert list(pair_sets.root.iterdir()) == []


def test_only_folders_that_no_living_import_can_own_are_cleared(
    source: PairSource, keep: Keep, pair_sets: PairSets
) -> None:
    pair_sets.root.mkdir()
    old, young = pair_sets.root / ".old.tmp", pair_sets.root / ".young.tmp"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    found = keep(source)
    assert (old.exists(), young.exists()) == (False, True)
    assert pair_sets.all_sets() == [found]


def test_changed_pairs_are_noticed_and_unknown_names_lead_nowhere(
    source: PairSource, keep: Keep, pair_sets: PairSets, tmp_path: Path
) -> None:
    sha256 = keep(source).sha256
    path = pair_sets.root / sha256 / "pairs.jsonl"
    path.write_bytes(path.read_bytes().replace(b"red", b"bad"))
    with pytest.raises(ConflictError, match="was changed"):
        pair_sets.read(sha256)
    for name in ("0" * 64, "..", f"../pair-sets/{sha256}", ""):
        with pytest.raises(NotFoundError):
            pair_sets.get(name)
    pair_sets.delete(sha256)
    assert list(pair_sets.root.iterdir()) == []


@pytest.mark.parametrize(("kind", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_picture_keeps_its_kind(kind: str, ending: str) -> None:
    assert picture_ending(picture(9, kind)) == ending


def test_what_is_no_whole_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b"", b"text", picture(3)[:48], picture(3, "GIF")):
        with pytest.raises(ValueError, match="no whole PNG, JPEG or WebP"):
            picture_ending(content)
    monkeypatch.setattr("backend.pair_sets.folder._MOST_PIXELS", 63)
    with pytest.raises(ValueError, match="8 x 8 pixels"):
        picture_ending(picture(3))
    assert Image.MAX_IMAGE_PIXELS is not None
