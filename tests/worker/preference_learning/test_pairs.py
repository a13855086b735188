"""Frozen pair sets: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.worker.preference_learning.votes import freeze, pair_line, vote_line, write_pair_set
from worker.preference_learning.pairs import check_pictures, read_pair_set


def test_a_set_is_read_with_its_votes_and_pictures(tmp_path: Path) -> None:
    sha256 = write_pair_set(tmp_path, num_prompts=4, pairs_per_prompt=2, num_raters=3, votes_per_pair=2)
    found = read_pair_set(tmp_path / "pair-sets" / sha256)
    assert found.sha256 == sha256
    assert len(found.pairs) == 8
    assert found.raters == ("rater-0", "rater-1", "rater-2")
    assert all(len(pair.votes) == 2 and vote.is_simulated for pair in found.pairs for vote in pair.votes)
    picture = found.picture(found.pairs[0].image_0)
    assert picture.shape == (3, 64, 64)
    assert picture.dtype == torch.float32
    assert 0 <= picture.min() < picture.max() <= 1
    check_pictures(found, [found.pairs[0].image_0])


def test_a_preference_is_the_share_of_the_raters_who_are_asked_for(tmp_path: Path) -> None:
    votes = [vote_line("a", 1.0), vote_line("b", 0.0), vote_line("c", 0.5)]
    sha256 = freeze(tmp_path, [pair_line("a star", ["0.png", "1.png"], votes, 1.0)], {})
    (pair,) = read_pair_set(tmp_path / "pair-sets" / sha256).pairs
    assert pair.preference() == 0.5
    assert pair.preference(frozenset("ac")) == 0.75
    assert pair.preference(frozenset("z")) is None


def test_a_changed_set_is_refused(tmp_path: Path) -> None:
    sha256 = write_pair_set(tmp_path, num_prompts=3, pairs_per_prompt=1)
    path = tmp_path / "pair-sets" / sha256 / "pairs.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"weight": 1.0', b'"weight": 2.0', 1))
    with pytest.raises(ValueError, match="was changed"):
        read_pair_set(path.parent)


def test_missing_sets_and_pictures_name_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pairs\.source names the pair set nothing"):
        read_pair_set(tmp_path / "nothing")
    sha256 = freeze(tmp_path, [pair_line("a star", ["0.png", "1.png"], [vote_line("a", 1.0)], 1.0)], {})
    found = read_pair_set(tmp_path / "pair-sets" / sha256)
    with pytest.raises(ValueError, match=r"lacks its picture .*0\.png: freeze the votes anew"):
        check_pictures(found, ["0.png"])
    (found.folder / "0.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read"):
        found.picture("0.png")


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd"])
def test_no_picture_is_read_from_elsewhere(tmp_path: Path, name: str) -> None:
    sha256 = freeze(tmp_path, [pair_line("a star", [name, "1.png"], [vote_line("a", 1.0)], 1.0)], {})
    with pytest.raises(ValueError, match="is no picture of the set"):
        read_pair_set(tmp_path / "pair-sets" / sha256)
