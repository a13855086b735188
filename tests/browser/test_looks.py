"""One language on every page: nothing sideways, no chrome of Gradio's, both colour schemes, one column when narrow."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from ui.theme import DARK, LIGHT

STICKING_OUT = """[...document.querySelectorAll('.u-part *')]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => element.outerHTML.slice(0, 100))"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def paths(trained: Run, client: StudioClient) -> list[str]:
    """Every page, with something on it."""
    sample = client.list_groups(trained.id).data[0].samples[0]
    return ["/", "/launch", "/runs", f"/run?id={trained.id}", f"/groups?id={trained.id}", f"/sample?id={sample.id}"]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_scrolls_sideways(open_page: OpenPage, paths: list[str], width: int, height: int) -> None:
    for path in paths:
        page = open_page(path, width=width, height=height)
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(STICKING_OUT) == [], path
        page.context.close()


def test_the_list_of_runs_is_cards_on_a_narrow_screen_and_hides_nothing(open_page: OpenPage, trained: Run) -> None:
    page = open_page("/runs", width=390, height=844)
    row = page.get_by_role("row", name=trained.name).first
    for name in ("Kind", "Step", "Reward", "Age"):
        expect(row.locator(f"[data-name={name}]")).to_be_visible()
    expect(row.get_by_role("link", name="Clone")).to_be_visible()
    expect(row.locator(".u-status")).to_be_visible()
    wide = open_page("/runs")
    assert wide.locator(".u-cards tbody tr").first.evaluate("row => getComputedStyle(row).display") == "table-row"
    assert row.evaluate("row => getComputedStyle(row).display") == "grid"


@pytest.mark.parametrize(("scheme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_pages_wear_the_systems_colours(open_page: OpenPage, scheme: str, colours: dict[str, str]) -> None:
    page = open_page("/launch", scheme=scheme)
    for selector, name in (("body", "bg"), (".u-nav", "surface"), (".u-start", "surface")):
        shown = page.locator(selector).first.evaluate("element => getComputedStyle(element).backgroundColor")
        channels = [int(colours[name][start : start + 2], 16) for start in (1, 3, 5)]
        assert shown == "rgb({}, {}, {})".format(*channels), (selector, shown)


def test_the_toggle_changes_the_colours_and_is_remembered(open_page: OpenPage) -> None:
    page = open_page("/runs")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.goto("/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_gradio_shows_no_footer_no_navigation_and_no_font_of_its_own(open_page: OpenPage) -> None:
    page = open_page("/launch")
    assert page.locator("footer:visible").count() == 0
    assert page.locator(".nav-holder:visible").count() == 0
    assert page.evaluate("[...document.fonts].length") == 0
    assert page.title() == "Launch · Unmask Studio"
