"""Launch while its recipe is being read: no field takes what the recipe would replace, and afterwards each does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVENTS = "**/gradio_api/run/**"


@contextmanager
def delayed(page: Page, is_held: Callable[[int], bool]) -> Iterator[None]:
    """Holds back the answers to events with so many values, until the block ends."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        values = json.loads(route.request.post_data or "{}").get("data", [])
        held.append(route) if is_held(len(values)) else route.continue_()

    page.route(EVENTS, hold)
    yield
    for route in held:
        route.continue_()
    page.unroute(EVENTS)


def type_blindly(page: Page) -> None:
    """Whatever a person could press before there is anything: every field by key, and the form by pointer."""
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.u-form') === null")
        page.keyboard.type("lost")
    page.mouse.click(200, 520)
    page.keyboard.type("lost")


def test_nothing_can_be_typed_before_the_recipe_is_read(open_page: OpenPage) -> None:
    page = open_page("/", width=1280)
    with delayed(page, lambda num_values: num_values == 0):
        page.goto("/launch?recipe=mini-geneval")
        page.wait_for_selector("#field-name", state="attached")
        expect(page.locator(".u-boot")).to_be_visible()
        expect(page.locator("#field-seed")).to_be_hidden()
        expect(page.locator("#launch-button")).to_be_hidden()
        type_blindly(page)
    expect(page.locator("#launch-side")).to_contain_text("Exactly Mini-GenEval")
    name = page.locator("#field-name").locator("visible=true").locator("textarea, input")
    name.fill("typed after it")
    expect(page.locator("#launch-side pre")).to_contain_text("name: typed after it")
    expect(page.locator("#launch-side pre")).not_to_contain_text("lost")


def test_while_another_recipe_is_read_no_field_can_be_changed(open_page: OpenPage) -> None:
    page = open_page("/launch?recipe=tiny-shapes", width=390, scheme="dark")
    expect(page.locator("#launch-side")).to_contain_text("Exactly Tiny shapes")
    seed = page.locator("#field-seed input").first
    with delayed(page, lambda num_values: num_values == 1):
        page.locator("#recipe input").click()
        page.get_by_role("option", name="First look, one minute").click()
        expect(seed).to_be_hidden()
        expect(page.locator("#launch-button")).to_be_hidden()
        told = page.evaluate("getComputedStyle(document.querySelector('.u-side'), '::before').content")
        assert "Reading the recipe" in told
    expect(page.locator("#launch-side")).to_contain_text("Exactly First look")
    expect(page.locator("#launch-button")).to_be_visible()
    seed.fill("4711")
    expect(page.locator("#launch-side pre")).to_contain_text("seed: 4711")
