"""Pairs of four small pictures by three raters, one of them a program, and the folder where sets are kept."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.pair_sets.folder import NewPairSet, PairSets
from backend.pair_sets.pairs import Pair, PairSource, PairVote
from backend.schemas.pair_set import PairSet
from backend.schemas.rater_hash import OF_STUDIO, rater_hash

Keep = Callable[..., PairSet]


def picture(brightness: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), brightness, dtype=np.uint8)).save(buffer, format=kind)
    return buffer.getvalue()


def name_of(content: bytes, ending: str = "png") -> str:
    return f"{hashlib.sha256(content).hexdigest()}.{ending}"


@pytest.fixture
def pair_sets(tmp_path: Path) -> PairSets:
    return PairSets(tmp_path / "pair-sets")


@pytest.fixture
def source(tmp_path: Path) -> PairSource:
    """Three pairs: one of two votes and a tie, one of a tie alone, one that has a label and no single vote."""
    pictures = {}
    for brightness in (10, 80, 150, 220):
        content = picture(brightness)
        path = tmp_path / f"source-{brightness}.png"
        path.write_bytes(content)
        pictures[name_of(content)] = path
    dark, dim, light, bright = pictures
    told = {"picture_0": {"policy": "base", "seed": 7, "run_id": "r", "reward": 0.25}, "picture_1": {"policy": "tuned"}}
    first = (
        PairVote("a1", 1.0, choice="0", created_at="2026-05-01T10:00:00+00:00", guideline_version=2),
        PairVote("b2", 1.0, choice="0"),
        PairVote("c3", 0.5, is_simulated=True, choice="both_bad"),
    )
    pairs = (
        Pair("a red circle", "single_object", dark, dim, 2.5 / 3, first, told),
        Pair("a red circle", "single_object", light, dim, 0.5, (PairVote("a1", 0.5, choice="tie"),), told),
        Pair("=two stars", None, light, bright, 0.0, (), {"model_0": "x", "model_1": "y"}),
    )
    return PairSource(pairs, pictures, {"kind": "label_task", "guideline": "Choose."}, {"gold pairs": 1})


@pytest.fixture
def own(source: PairSource) -> PairSource:
    """The same, by raters of this studio."""
    pairs = tuple(
        replace(pair, votes=tuple(replace(vote, rater=rater_hash(OF_STUDIO, vote.rater)) for vote in pair.votes))
        for pair in source.pairs
    )
    return replace(source, pairs=pairs)


@pytest.fixture
def keep(pair_sets: PairSets) -> Keep:
    """Writes a set as freezing and importing do."""

    def write(source: PairSource, name: str = "a set", change: Callable[[NewPairSet], None] | None = None) -> PairSet:
        with pair_sets.making() as new:
            for path in source.pictures.values():
                new.add_picture(path.read_bytes())
            if change is not None:
                change(new)
            return pair_sets.keep(new, new.write(source.pairs, name, source.about, source.left_out))[0]

    return write
