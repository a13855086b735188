"""What every page owes: its keys on the map, its API calls, and a way on where there is nothing to show."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def evaluation(client: StudioClient) -> Run:
    """One that was cancelled before its first picture."""
    values = {"kind": "evaluate", "base": {"source": "shipped"}, "num_prompts": 6}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(values)))
    client.cancel_run(run.id)
    return client.get_run(run.id)


@pytest.mark.parametrize(
    ("page_of", "keys", "call", "empty"),
    [
        ("/try", ("Write prompts", "Sample"), "/runs?tag=try&kind=evaluate", "No pictures yet"),
        ("/strip?id={trained}", ("Later step", "Next prompt"), "/prompts?purpose=probe", "Launch one with"),
        ("/compare?id={evaluation}", ("Hold: the two",), "/export?format=csv", "No pairs"),
    ],
)
def test_a_page_tells_its_keys_its_calls_and_what_to_do(
    open_page: OpenPage, trained: Run, evaluation: Run, page_of: str, keys: tuple[str, ...], call: str, empty: str
) -> None:
    path = page_of.format(trained=trained.id, evaluation=evaluation.id)
    page = open_page(path)
    expect(page.get_by_text(empty).first).to_be_visible()
    page.keyboard.press("?")
    for words in (*keys, "Go to Try"):
        expect(page.get_by_role("dialog", name="Keys")).to_contain_text(words)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="as API call").click()
    expect(page.locator("dialog pre")).to_contain_text(call)
    expect(page.locator("dialog pre")).to_contain_text("curl")
    page.keyboard.press("Escape")
    # The address as it is now opens the same.
    expect(open_page(page.url).get_by_text(empty).first).to_be_visible()


@pytest.mark.parametrize("path", ["/strip", "/compare", "/run", "/groups", "/sample"])
def test_a_page_of_one_thing_without_its_name_leads_to_where_it_is_found(open_page: OpenPage, path: str) -> None:
    page = open_page(path)
    expect(page.locator(".u-empty strong")).to_contain_text("?")
    expect(page.locator(".u-empty").get_by_role("link")).to_be_visible()


def test_a_picture_that_does_not_come_says_so_in_its_place(open_page: OpenPage, trained: Run) -> None:
    page = open_page("/runs")
    page.route("**/image", lambda route: route.abort())
    page.goto(f"/groups?id={trained.id}")
    picture = page.locator("img.u-gone").first
    expect(picture).to_be_visible()
    assert (picture.get_attribute("alt") or "").startswith("This picture did not come")
