"""Extending in a browser: sides chosen by button and key, the coming size seen, what grew shown, replayed, grown on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import RunCreate
from backend.schemas.sample import Sample
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# A run's process loads torch first: on a machine that is shared, that alone may take a minute.
RUN_MS = 150_000
# A picture's sides, once it has come.
SIZE = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"


@pytest.fixture(scope="module")
def sample(client: StudioClient) -> Sample:
    """A sample whose tokens are known."""
    config = {"kind": "sample", "prompts": {"texts": ["a photo of a red circle"]}, "samples_per_prompt": 1}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    for _ in client.watch(run.id):
        pass
    return client.list_groups(run.id).data[0].samples[0]


def expect_size(page: Page, words: str) -> None:
    expect(page.locator("section[aria-label=Picture] [role=status]")).to_have_text(words)


def test_a_picture_grows_is_found_again_replayed_and_grown_on(
    open_page: OpenPage, client: StudioClient, sample: Sample
) -> None:
    page = open_page(f"/extend?sample={sample.id}", width=1280)
    go = page.get_by_role("button", name="Extend", exact=True)
    expect(go).to_be_disabled()
    expect_size(page, "8 × 8 cells")
    page.get_by_role("button", name="Grow right").click()
    page.locator("h1").click()
    page.keyboard.press("ArrowUp")
    expect_size(page, "8 × 8 → 12 × 12 cells, 3 windows")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    expect_size(page, "8 × 8 → 12 × 12 cells, 3 windows")
    page.get_by_label("prompt of extension 2").fill("a photo of a blue square")
    page.get_by_label("Pictures", exact=True).fill("2")
    page.get_by_label("Unmasking steps", exact=True).fill("4")
    go.click()
    expect(page.locator(".u-grown img")).to_have_count(2, timeout=RUN_MS)
    assert page.locator(".u-grown img").first.evaluate(SIZE) == [96, 96]
    run_id = re.search(r"run=([0-9a-f-]+)", page.url)
    assert run_id is not None
    made = client.get_run(run_id[1])
    assert made.config.model_dump(mode="json")["extrapolation"] == {
        "picture": f"run:{sample.run_id}/{sample.image_path}",
        "extensions": [
            {"direction": "right", "prompt": None},
            {"direction": "up", "prompt": "a photo of a blue square"},
        ],
        "num_new": None,
    }
    page.reload()
    expect(page.locator(".u-grown img")).to_have_count(2)
    page.get_by_role("link", name="Extend further").first.click()
    expect_size(page, "12 × 12 cells")
    page.keyboard.press("ArrowDown")
    expect_size(page, "12 × 12 → 16 × 12 cells, 2 windows")


def test_the_replay_of_a_wide_picture_has_its_shape(open_page: OpenPage, client: StudioClient, sample: Sample) -> None:
    config = {
        "kind": "sample",
        "prompts": {"texts": [sample.prompt]},
        "samples_per_prompt": 1,
        "sampling": {"num_unmasking_steps": 4},
        "extrapolation": {
            "picture": f"run:{sample.run_id}/{sample.image_path}",
            "extensions": [{"direction": "right"}] * 2,
        },
    }
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    for _ in client.watch(run.id):
        pass
    grown = client.list_groups(run.id).data[0].samples[0]
    for width in (1280, 390):
        page = open_page(f"/sample?id={grown.id}", width=width)
        canvas = page.locator(".u-replay canvas[role=img]")
        expect(canvas).to_have_attribute("aria-label", re.compile("of 8 × 16 tokens at step 8"))
        for each in (canvas, page.locator(".u-replay .u-frame img")):
            box = each.bounding_box()
            assert box is not None
            assert box["width"] / box["height"] == pytest.approx(2, abs=0.02)
        canvas.hover(position={"x": 3, "y": 3})
        expect(page.get_by_text("row 1, column 1 · known from the start")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.get_by_role("link", name="Paint over")).to_have_count(0)
    page = open_page(f"/inpaint?sample={grown.id}", width=390)
    expect(page.get_by_text("This picture has grown")).to_be_visible()


def test_bounds_are_kept_and_a_run_that_fails_is_told(open_page: OpenPage, sample: Sample) -> None:
    page = open_page(f"/extend?sample={sample.id}", width=390)
    right = page.get_by_role("button", name="Grow right")
    for _ in range(14):
        right.click()
    expect_size(page, "8 × 8 → 8 × 64 cells, 14 windows")
    expect(right).to_be_disabled()
    added = page.get_by_label("New cells")
    added.fill("7")
    expect(page.get_by_text("At most 8 times the policy's own picture")).to_be_visible()
    added.fill("9")
    expect(page.get_by_text("New cells: 1 to 7.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    added.fill("4")
    page.get_by_role("button", name="Take back all").click()
    page.get_by_role("button", name="Grow down").click()
    page.get_by_label("Policy", exact=True).evaluate(
        "box => { box.append(new Option('/nowhere', '/nowhere')); box.value = '/nowhere'; }"
    )
    page.get_by_role("button", name="Extend", exact=True).click()
    expect(page.get_by_role("alert").get_by_text("The run failed")).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_role("alert").get_by_text("/nowhere").first).to_be_visible()


def test_without_a_sample_the_page_says_where_to_begin(open_page: OpenPage) -> None:
    page = open_page("/extend", width=390)
    expect(page.get_by_text("Open a sample and press")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_picture_of_ones_own_is_brought_in_and_grows(open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    Image.new("RGB", (300, 200), (200, 30, 60)).save(path)
    page = open_page("/extend", width=390)
    page.get_by_label("Picture", exact=True).set_input_files(path)
    page.wait_for_url("**/extend?picture=*")
    expect(page.get_by_text("Resized from 300 x 200 to 96 x 64 pixels.")).to_be_visible()
    expect_size(page, "8 × 12 cells")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Grow up").click()
    page.get_by_label("Prompt", exact=True).fill("two stars")
    page.get_by_label("Pictures", exact=True).fill("1")
    page.get_by_label("Unmasking steps", exact=True).fill("4")
    page.get_by_role("button", name="Extend", exact=True).click()
    expect(page.locator(".u-grown img")).to_have_count(1, timeout=RUN_MS)
    assert page.locator(".u-grown img").evaluate(SIZE) == [96, 96]
