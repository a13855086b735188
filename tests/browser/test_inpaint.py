"""Inpainting in a browser: cells are marked by pointer and by key, and what a policy paints there is shown."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import RunCreate
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def sample_id(client: StudioClient) -> str:
    """A sample whose tokens are known."""
    config = {"kind": "sample", "prompts": {"texts": ["a photo of a red circle"]}, "samples_per_prompt": 1}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    for _ in client.watch(run.id):
        pass
    return str(client.list_groups(run.id).data[0].samples[0].id)


def test_marked_cells_are_painted_anew_and_each_painting_is_a_sample(open_page: OpenPage, sample_id: str) -> None:
    page = open_page(f"/inpaint?sample={sample_id}", width=1280)
    paint = page.get_by_role("button", name="Paint", exact=True)
    expect(paint).to_be_disabled()
    box = page.locator(".u-cells").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 16
    page.mouse.move(box["x"] + box["width"] / 16, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.95, y, steps=16)
    page.mouse.up()
    expect(page.get_by_text("8 of 64 cells marked")).to_be_visible()
    cell = page.get_by_role("button", name="row 1, column 1", exact=True)
    cell.press("Space")
    expect(page.get_by_text("7 of 64 cells marked")).to_be_visible()
    page.get_by_label("Pictures", exact=True).fill("2")
    paint.click()
    expect(page.locator(".u-painted img")).to_have_count(2)
    page.locator(".u-painted a").first.click()
    page.wait_for_url("**/sample?id=*")


def test_without_a_sample_the_page_says_where_to_begin(open_page: OpenPage) -> None:
    page = open_page("/inpaint", width=390)
    expect(page.get_by_text("Open a sample and press")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
