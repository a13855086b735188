"""What is frozen of a label task, or imported, is what a reward model is trained on: both sides agree on the files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.pair_sets.folder import PairSets
from backend.pair_sets.pairs import Pair, PairVote
from worker.preference_learning.pairs import PairSet, check_pictures, read_pair_set


def picture(brightness: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), brightness, dtype=np.uint8)).save(buffer, format=kind)
    return buffer.getvalue()


@pytest.fixture
def frozen(tmp_path: Path) -> PairSet:
    """A voted pair, and an imported one without single votes whose pictures are JPEG."""
    sets = PairSets(tmp_path / "pair-sets")
    with sets.making() as new:
        names = [new.add_picture(picture(value, kind)) for value, kind in ((0, "PNG"), (255, "PNG"), (128, "JPEG"))]
        votes = (PairVote("a", 1.0, choice="0"), PairVote("b", 0.5, is_simulated=True, choice="tie"))
        pairs = [
            Pair("a red circle", "single_object", names[0], names[1], 0.75, votes, {"pair_id": "x"}),
            Pair("a red circle", None, names[2], names[1], 0.0),
        ]
        kept, _ = sets.keep(new, new.write(pairs, "a set", {"kind": "import"}, {}))
    return read_pair_set(sets.root / kept.sha256)


def test_labels_weights_and_votes_are_read(frozen: PairSet) -> None:
    voted, imported = frozen.pairs
    assert (voted.prompt, voted.label_0, voted.weight, imported.weight) == ("a red circle", 0.75, 0.5, 0.5)
    assert [(vote.rater, vote.label_0, vote.is_simulated) for vote in voted.votes] == [
        ("a", 1.0, False),
        ("b", 0.5, True),
    ]
    assert voted.preference() == 0.75
    assert (imported.preference(), imported.votes) == (0.0, ())


def test_every_picture_is_there_and_opens(frozen: PairSet) -> None:
    check_pictures(frozen, [name for pair in frozen.pairs for name in (pair.image_0, pair.image_1)])
    assert frozen.picture(frozen.pairs[0].image_1).min() == 1
    assert frozen.picture(frozen.pairs[1].image_0).shape == (3, 8, 8)
