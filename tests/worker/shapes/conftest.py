"""Ground-truth pictures of every task, drawn once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.shapes.captions import Caption, all_captions, scene_for
from worker.shapes.renderer import render

Example = tuple[Caption, NDArray[np.uint8]]


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """1080 captions, 180 of each task, each with a picture of a scene that satisfies it."""
    rng = np.random.default_rng(7)
    captions = (*all_captions("heldout"), *all_captions("heldout"))
    return [(caption, render(scene_for(caption, rng), rng)) for caption in captions]
