"""A group's pictures lie in rows of equal length on every usual width, and none is tiny."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.run import Run
from tests.browser.conftest import SMALL_TRAINING, OpenPage, performed

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SMALLEST = 64.0
SIZES = (4, 6, 8, 16)


@pytest.fixture(scope="module")
def runs(client: StudioClient) -> dict[int, Run]:
    """A run of one step for each usual size of a group."""
    ask = {"num_steps": 1, "checkpoints": {"every_num_steps": 10}}
    rollouts = {size: {"num_prompts": 1, "group_size": size} for size in SIZES}
    return {
        size: performed(client, SMALL_TRAINING | ask | {"name": f"groups of {size}", "rollout": rollout})
        for size, rollout in rollouts.items()
    }


@pytest.mark.parametrize(
    ("page_of", "width", "rows"),
    [
        ("run", 1280, {4: 1, 6: 1, 8: 2, 16: 4}),
        ("run", 390, {4: 1, 6: 2, 8: 2, 16: 4}),
        ("groups", 1280, {4: 1, 6: 1, 8: 1, 16: 2}),
        ("groups", 390, {4: 1, 6: 2, 8: 2, 16: 4}),
    ],
)
def test_groups_of_the_usual_sizes_lie_in_equal_rows(
    open_page: OpenPage, runs: dict[int, Run], page_of: str, width: int, rows: dict[int, int]
) -> None:
    for size, run in runs.items():
        page = open_page(f"/{page_of}?id={run.id}", width=width)
        tiles = page.locator(".u-group").first.locator(".u-tile")
        expect(tiles).to_have_count(size)
        boxes = [box for tile in tiles.all() if (box := tile.bounding_box()) is not None]
        in_row = Counter(round(box["y"]) for box in boxes)
        assert list(in_row.values()) == [size // rows[size]] * rows[size]
        assert min(box["width"] for box in boxes) >= SMALLEST
        assert page.evaluate("document.documentElement.scrollWidth") <= width
