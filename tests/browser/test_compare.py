"""Compare: an evaluation's figures and pairs, seen in a browser from the run's page to a single pair."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SMALL_EVALUATION = {
    "kind": "evaluate",
    "name": "small evaluation",
    "policy": {"num_threads": 1},
    "base": {"source": "shipped"},
    # Several batches; the pictures of all captions are stored, the replays of the first 60.
    "num_prompts": 66,
    "batch_size": 60,
    "sampling": {"num_unmasking_steps": 4},
}


@pytest.fixture(scope="module")
def evaluated(client: StudioClient) -> Run:
    """An evaluation with a base, to its end."""
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(SMALL_EVALUATION)))
    list(client.watch(run.id))
    return client.get_run(run.id)


def test_a_comparison_is_reached_from_its_run_and_shows_what_was_measured(
    open_page: OpenPage, client: StudioClient, evaluated: Run
) -> None:
    page = open_page(f"/run?id={evaluated.id}")
    expect(page.locator("[aria-label=Groups]").locator("img").first).to_be_visible()
    page.click("a:has-text('Compare')")
    found = client.get_comparison(evaluated.id)
    assert found.base is not None
    assert found.difference is not None
    assert found.num_pairs == 132
    # The same policy, prompts and seeds: every pair is equal, and the page says so.
    assert found.difference.values["overall"] == 0
    expect(page.locator("h1")).to_contain_text("→")
    expect(page.locator("tbody tr").first).to_contain_text("overall")
    expect(page.locator(".u-pair")).to_have_count(24)
    page.click("text=Load more")
    expect(page.locator(".u-pair")).to_have_count(48)
    expect(page.get_by_text("132 of 132 pairs stored: 0 wins, 0 losses, 132 equal")).to_be_visible()


def left_of(page: Page) -> str:
    """Which policy's picture stands at the left of the first pair."""
    sides = page.locator(".u-pair").first.locator(".u-pair-side")
    expect(sides).to_have_count(2)
    left = min(sides.all(), key=lambda side: side.bounding_box()["x"])  # type: ignore[index]
    return left.inner_text().split()[0]


def test_pairs_are_flipped_filtered_and_looked_at_closely(open_page: OpenPage, evaluated: Run) -> None:
    page = open_page(f"/compare?id={evaluated.id}")
    assert left_of(page) == "base"
    page.keyboard.down("f")
    assert left_of(page) == "tuned", "while the key is down they have changed places"
    page.keyboard.up("f")
    assert left_of(page) == "base"
    page.get_by_role("button", name="Flip").click()
    assert left_of(page) == "tuned", "without a keyboard there is a button"
    page.select_option("select[aria-label=Task]", "counting")
    expect(page.locator(".u-pair")).to_have_count(22)
    page.locator(".u-pair-pictures").first.click()
    slider = page.locator("dialog .u-slider")
    words = page.locator("dialog .u-row span")
    assert words.all_inner_texts() == ["base", "tuned"], "as the halves of the picture stand"
    expect(slider.locator("img").last).to_have_attribute("alt", re.compile("^base: "))
    expect(slider.locator("img").last).to_have_attribute("style", "clip-path: inset(0px 50% 0px 0px);")
    page.locator("dialog input[type=range]").fill("100")
    expect(slider.locator("img").last).to_have_attribute("style", "clip-path: inset(0px 0% 0px 0px);")


def test_nothing_is_wider_than_a_narrow_screen(open_page: OpenPage, evaluated: Run) -> None:
    page = open_page(f"/compare?id={evaluated.id}", width=390, height=844, scheme="dark")
    expect(page.locator(".u-pair").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_that_compares_nothing_is_told_with_the_cure(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/compare?id={trained.id}")
    expect(page.locator("[role=alert]")).to_contain_text("only an evaluate run compares a policy with its base")
    expect(open_page("/compare").get_by_text("Which evaluation?")).to_be_visible()


def test_an_evaluation_that_failed_promises_no_figures(open_page: OpenPage, client: StudioClient) -> None:
    config = SMALL_EVALUATION | {"policy": {"source": "/nowhere/policy"}}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    list(client.watch(run.id))
    page = open_page(f"/compare?id={run.id}")
    expect(page.locator("h1")).to_have_text("Not measured to its end")
    expect(page.get_by_text("There are none: the evaluation ended before its last picture")).to_be_visible()
    expect(page.get_by_role("link", name="Open the run")).to_be_visible()


def test_what_the_prompts_share_with_training_is_said(open_page: OpenPage, evaluated: Run) -> None:
    page = open_page(f"/compare?id={evaluated.id}", width=390, height=844, scheme="dark")
    note = page.get_by_label("Overlap with training prompts")
    expect(note).to_contain_text("none word for word")
    note.get_by_text("Which, and from where").click()
    expect(note.get_by_text("the shipped policy")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
