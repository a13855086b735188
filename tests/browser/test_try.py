"""Try: from the browser to pictures of several policies on the same prompts and seeds, and back by the address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from backend.client import StudioClient
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

PROMPTS = "three triangles\na dragon over a lake"


def fill(page: Page, *policies: str, prompts: str = PROMPTS) -> None:
    """Writes prompts and policies, and makes the unmasking short."""
    fields = page.get_by_role("combobox", name="Policy")
    while fields.count() > 1:
        page.get_by_role("button", name="Remove this policy").last.click()
    for place, source in enumerate(policies):
        if place:
            page.get_by_role("button", name="Add a policy").click()
        fields.nth(place).fill(source)
    page.get_by_label("Prompts, one a line").fill(prompts)
    page.get_by_label("Unmasking steps").fill("4")


def sample(page: Page, num_pictures: int) -> str:
    """Presses Sample, waits for all pictures, and gives the run's id."""
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".u-try-pictures img")).to_have_count(num_pictures)
    expect(page.locator(".u-try-head .u-status")).to_have_text("succeeded")
    page.wait_for_url(re.compile(r"/try\?run="))
    return page.url.split("run=")[1]


def test_policies_stand_side_by_side_on_the_same_seeds(open_page: OpenPage, client: StudioClient) -> None:
    page = open_page("/try")
    expect(page.get_by_text("Write at least one prompt.")).to_be_visible()
    expect(page.get_by_role("button", name="Sample", exact=True)).to_be_disabled()
    fill(page, "shipped", "shipped", "shipped")
    expect(page.get_by_text("2 prompts × 3 policies × 2 seeds = 12 pictures")).to_be_visible()
    run_id = sample(page, 12)
    config = client.get_run(run_id).config
    assert isinstance(config, EvaluateConfig)
    assert list(config.candidates) == ["base", "policy", "shipped"]
    assert config.prompts.texts == ("three triangles", "a dragon over a lake")
    pictures = page.get_by_role("article", name="three triangles").locator(".u-try-pictures")
    shown = [[image.get_attribute("alt") for image in cell.locator("img").all()] for cell in pictures.all()]
    assert shown[0] == shown[1] == shown[2], "the same policy, prompts and seeds"
    assert len(set(shown[0])) == 2, "each of another seed"
    # Every picture opens its replay.
    assert all(each.has_trajectory for group in client.list_groups(run_id, step=2).data for each in group.samples)
    pictures.first.locator("a").first.click()
    expect(page.locator(".u-player")).to_be_visible()


def test_the_page_is_left_and_found_again_by_its_address(open_page: OpenPage) -> None:
    page = open_page("/try")
    fill(page, "shipped", prompts="a red star")
    page.get_by_label("Seed").fill("41")
    run_id = sample(page, 2)
    again = open_page(f"/try?run={run_id}", width=390, height=844, scheme="dark")
    expect(again.locator(".u-try-pictures img")).to_have_count(2)
    expect(again.get_by_label("Prompts, one a line")).to_have_value("a red star")
    expect(again.get_by_label("Seed")).to_have_value("41")
    expect(again.get_by_role("combobox", name="Policy")).to_have_count(1)
    assert again.evaluate("document.documentElement.scrollWidth") <= 390
    expect(again.get_by_label("Earlier").get_by_role("link", name="a red star").first).to_be_visible()
    # One policy alone compares with nothing.
    expect(again.get_by_role("link", name="Its run")).to_be_visible()
    expect(again.get_by_role("link", name="Compare")).to_have_count(0)


def test_pictures_come_one_prompt_after_another(open_page: OpenPage) -> None:
    page = open_page("/try")
    fill(page, "shipped", prompts=PROMPTS)
    held: list[Route] = []

    def keep_back(route: Route) -> None:
        held.append(route)

    # The second prompt's pictures: those of the first are there meanwhile.
    page.route("**/groups?*step=2*", keep_back)
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".u-try-pictures img")).to_have_count(2)
    expect(page.locator(".u-try-wait")).to_have_count(2)
    expect(page.get_by_text("2 of 4 pictures")).to_be_visible()
    page.wait_for_function("document.querySelector('.u-try-head .u-status').textContent === 'succeeded'")
    held[0].continue_()
    expect(page.locator(".u-try-pictures img")).to_have_count(4)


def test_what_is_refused_or_fails_says_why(open_page: OpenPage) -> None:
    page = open_page("/try")
    fill(page, "shipped", prompts="x" * 1001)
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("1 to 1000 characters")
    fill(page, "/nowhere/policy", prompts="a star")
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".u-try-head .u-status")).to_have_text("failed")
    expect(page.locator("section .u-error")).to_contain_text("/nowhere/policy")


def test_a_run_of_another_kind_is_not_taken_for_one(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/try?run={trained.id}")
    expect(page.get_by_role("alert")).to_contain_text("is a train run")


def test_the_api_call_is_what_the_form_asks_for(open_page: OpenPage) -> None:
    page = open_page("/try")
    fill(page, "shipped", "run:last@20", "run:last@20", prompts="it's a star")
    page.get_by_role("button", name="as API call").click()
    call = page.locator("dialog pre")
    expect(call).to_contain_text("-X POST")
    expect(call).to_contain_text('"tags":["try"]')
    expect(call).to_contain_text('"label":"step-20"')


def test_a_double_click_asks_once(open_page: OpenPage, client: StudioClient) -> None:
    page = open_page("/try")
    fill(page, "shipped", prompts="a double click")
    page.get_by_role("button", name="Sample", exact=True).dblclick()
    # The second click of a slow hand comes when the first is answered.
    page.wait_for_url(re.compile(r"/try\?run="))
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".u-try-pictures img")).to_have_count(2)
    asked = [run for run in client.list_runs(tag="try", limit=100).data if run.name == "try a double click"]
    assert len(asked) == 1


def test_a_checkpoint_leads_here_beside_what_its_run_began_with(open_page: OpenPage, trained: Run) -> None:
    saved_one = {"step": 3, "num_bytes": 1000, "state_hash": "a" * 64, "created_at": "2026-01-01T00:00:00Z"}
    page = open_page("/runs")
    page.route("**/checkpoints", lambda route: route.fulfill(json={"data": [saved_one], "has_more": False}))
    page.goto(f"/run?id={trained.id}")
    saved = page.get_by_label("Checkpoints").get_by_role("listitem").first
    expect(saved.get_by_role("link", name="Compare")).to_have_attribute(
        "href", re.compile(rf"policy=run:{trained.id}@\d+$")
    )
    saved.get_by_role("link", name="Try").click()
    policies = page.get_by_role("combobox", name="Policy")
    expect(policies).to_have_count(2)
    expect(policies.first).to_have_value("shipped")
    expect(policies.last).to_have_value(re.compile(rf"^run:{trained.id}@\d+$"))
    page.goto(f"/launch?recipe=mini-geneval&policy=run:{trained.id}@3")
    expect(page.get_by_text("against its start").first).to_be_visible()
