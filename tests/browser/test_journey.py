"""The main job in a browser: launch, watch the curve move, open a group, scrub a replay, cancel, see it cancelled."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from backend.client import StudioClient
from backend.schemas.config import TrainConfig
from tests.browser.conftest import OpenPage
from tests.browser.page_objects import LaunchPage, RunPage, SamplePage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.e2e]


def launch(page: Page) -> str:
    form = LaunchPage(page)
    form.enter("name", "a journey")
    form.enter("num_steps", "500")
    form.enter("policy.num_threads", "1")
    form.enter("rollout.num_prompts", "3")
    form.enter("rollout.group_size", "4")
    form.open_section("Held-out probe")
    form.enter("probe.num_prompts", "0")
    form.expect_yaml("group_size: 4")
    return form.launch()


def watch_the_curve_move(run: RunPage) -> None:
    expect(run.page.get_by_role("heading", name="a journey")).to_be_visible()
    run.expect_status("running")
    run.wait_for_step(2)
    num_points = run.curve_points()
    run.page.evaluate("window.isSamePage = true")
    run.wait_for_step(run.step() + 2)
    run.page.wait_for_timeout(100)
    assert run.curve_points() > num_points, "the curve moves as steps come in"
    assert run.page.evaluate("window.isSamePage"), "and the page was not loaded again"


def open_a_group_and_scrub_a_replay(page: Page) -> None:
    page.get_by_role("link", name="Whole board").click()
    group = page.locator(".u-group").first
    expect(group.locator(".u-tile")).to_have_count(4)
    prompt = group.locator("img").first.get_attribute("alt")
    group.locator(".u-tile").first.click()

    sample = SamplePage(page)
    expect(page.get_by_role("heading", name=str(prompt))).to_be_visible()
    finished = sample.grid()
    sample.scrub_to(2)
    assert sample.caption().startswith("Picture at step 2/")
    assert sample.grid() != finished
    sample.press("ArrowRight")
    assert sample.caption().startswith("Picture at step 3/")


def test_a_run_is_launched_watched_looked_into_and_cancelled(open_page: OpenPage, client: StudioClient) -> None:
    page = open_page("/launch")
    run_id = launch(page)
    try:
        config = client.get_run(run_id).config
        assert isinstance(config, TrainConfig)
        assert (config.num_steps, config.rollout.group_size, config.probe.num_prompts) == (500, 4, 0)
        watch_the_curve_move(RunPage(page))
        open_a_group_and_scrub_a_replay(page)

        page.goto(f"/run?id={run_id}")
        run = RunPage(page)
        run.expect_status("running")
        page.get_by_role("button", name="Cancel").click()
        run.expect_status("cancelled")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        assert client.get_run(run_id).status == "cancelled"
    finally:
        client.cancel_run(run_id)
