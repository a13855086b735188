"""A replay that its run has not decoded asks for the true pictures by itself, and says what it shows meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from playwright.sync_api import Page, Route, expect

from backend.client import StudioClient
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from tests.browser.page_objects import SamplePage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

# The first request brings torch, which takes its time on a machine that also trains.
FIRST_MS = 290_000
REQUESTS = "**/api/v1/samples/*/frames"
REFUSAL = {
    "title": "Conflict",
    "status": 409,
    "code": "conflict",
    "detail": "there is no image tokenizer at /models/vq: put it back",
    "request_id": "ab12",
    "errors": [],
}


@pytest.fixture(scope="module")
def covered(client: StudioClient, trained: Run) -> Iterator[UUID]:
    """Samples that nobody has decoded, each once."""
    groups = client.list_groups(trained.id, step=2).data
    samples = [sample.id for group in groups for sample in group.samples]
    return (each for each in samples if not client.get_trajectory(each).is_decoded)


def open_sample(page: Page, sample_id: UUID) -> SamplePage:
    page.goto(f"/sample?id={sample_id}")
    return SamplePage(page)


def test_the_true_pictures_come_without_a_reload(open_page: OpenPage, covered: Iterator[UUID]) -> None:
    page = open_page("/runs")
    held: list[Route] = []
    page.route(REQUESTS, lambda route: route.continue_() if held else held.append(route))
    sample = open_sample(page, next(covered))
    sample.scrub_to(2)
    picture, note = page.locator(".u-replay img"), page.locator(".u-replay [role=status]")
    expect(note).to_contain_text("Decoding each step")
    expect(picture).to_have_attribute("src", re.compile(r"/frames/1\?origin=composed$"))
    page.evaluate("window.isSamePage = true")
    held[0].continue_()
    expect(picture).to_have_attribute("src", re.compile(r"/frames/1\?origin=decoded$"), timeout=FIRST_MS)
    expect(note).to_be_empty()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    assert (page.evaluate("window.isSamePage"), sample.caption()) == (True, "Picture at step 2/4")
    for name in ("GIF", "WebP"):
        link = page.get_by_role("link", name=name, exact=True)
        exported = page.request.get(str(link.get_attribute("href")))
        assert exported.headers["x-frames"] == "decoded"


def test_a_refusal_says_why_and_can_be_tried_again(open_page: OpenPage, covered: Iterator[UUID]) -> None:
    page = open_page("/runs")
    page.route(REQUESTS, lambda route: route.fulfill(status=409, content_type="application/problem+json", json=REFUSAL))
    open_sample(page, next(covered))
    alert = page.locator(".u-replay").get_by_role("alert")
    expect(alert).to_contain_text("there is no image tokenizer at /models/vq: put it back")
    expect(alert).to_contain_text("Request ab12")
    page.unroute(REQUESTS)
    alert.get_by_role("button", name="Try again").click()
    picture = page.locator(".u-replay img")
    expect(picture).to_have_attribute("src", re.compile("origin=decoded$"), timeout=FIRST_MS)
