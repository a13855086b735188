"""One prompt over the steps of a run: from the run to its strip, the same seed at each probe, keys, and a link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import SMALL_TRAINING, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def probed(client: StudioClient) -> Run:
    """A training with probes of the base and of two steps."""
    values = SMALL_TRAINING | {"name": "with probes", "num_steps": 2, "probe": {"num_prompts": 6, "every_num_steps": 1}}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(values)))
    list(client.watch(run.id))
    return client.get_run(run.id)


def test_a_prompt_is_followed_from_the_run_to_its_steps(open_page: OpenPage, probed: Run) -> None:
    page = open_page(f"/run?id={probed.id}")
    page.get_by_role("link", name="Prompts over steps").click()
    tiles = page.get_by_role("group", name="Pictures by step").get_by_role("button")
    expect(tiles).to_have_count(3)
    assert [tile.locator("span span").inner_text() for tile in tiles.all()] == ["base", "step 1", "step 2"]
    expect(page.get_by_text(re.compile(r"^3 pictures\. Seed \d+ at every step"))).to_be_visible()
    expect(page.locator(".u-slider ~ .u-row span")).to_have_text(["base", "step 2"])
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".u-slider ~ .u-row span")).to_have_text(["base", "step 1"])
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".u-slider img")).to_have_count(1)
    first = page.get_by_label("Prompt", exact=True).input_value()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Prompt", exact=True)).not_to_have_value(first)
    second = page.get_by_label("Prompt", exact=True).input_value()
    expect(page.locator(".u-card h2")).to_have_text(f"“{second}”")
    linked = open_page(page.url, width=390, height=844, scheme="dark")
    expect(linked.get_by_label("Prompt", exact=True)).to_have_value(second)
    assert linked.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_probes_picture_leads_to_its_strip(open_page: OpenPage, client: StudioClient, probed: Run) -> None:
    group = client.list_groups(probed.id, step=2, purpose="probe").data[-1]
    page = open_page(f"/sample?id={group.samples[0].id}")
    page.get_by_role("link", name="Over steps").click()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(group.prompt)
    page.get_by_role("link", name="step 2").click()
    expect(page.locator(".u-player")).to_be_visible()


def test_a_run_without_probes_says_what_to_do(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/strip?id={trained.id}")
    expect(page.get_by_text("No prompt has pictures of more than one step")).to_be_visible()
    expect(page.get_by_text("Launch one with a held-out probe")).to_be_visible()
    expect(open_page("/strip").get_by_text("A prompt of which run?")).to_be_visible()
