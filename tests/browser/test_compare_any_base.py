"""Any policy of an evaluation as what the others are compared to: figures, pairs, files and link follow the choice."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from backend.client import StudioClient
from backend.schemas.picture_runs import label_of
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def told(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def fates_of(client: StudioClient, run: Run, base: str, policy: str) -> re.Pattern[str]:
    """How the page tells the wins of a policy over a base."""
    found = client.get_comparison(run.id, base=base).differences
    values = next(each.values for each in found if label_of(each.policy) == policy)
    wins, losses, ties = (f"{values[f'num_{name}']:g}" for name in ("wins", "losses", "ties"))
    return re.compile(f"^{wins} wins?, {losses} loss(es)?, {ties} equal of all pictures$")


def test_any_policy_may_be_what_the_others_are_compared_to_and_a_link_carries_it(
    open_page: OpenPage, client: StudioClient, many: Run
) -> None:
    page = open_page(f"/compare?id={many.id}")
    page.select_option("select[aria-label='Compared to']", "policy")
    expect(page.locator("select[aria-label=Policy]")).to_have_value("base")
    page.select_option("select[aria-label=Policy]", "again")
    assert (told(page)["base"], told(page)["policy"]) == (["policy"], ["again"])
    # A link opens the same.
    for each in (page, open_page(page.url)):
        expect(each.get_by_text(fates_of(client, many, "policy", "again"))).to_be_visible()
        expect(each.locator(".u-forest thead th")).to_have_text(
            ["task", "tuned", "again", "difference", re.compile(".")]
        )
        expect(each.locator(".u-forest circle").first).to_be_visible()
        expect(each.get_by_label("By task")).to_contain_text("The smallest overall difference")
        expect(each.get_by_label("Every policy")).to_contain_text("is the paired difference to tuned")
        worst = client.list_pairs(many.id, base="policy", policy="again").data[0]
        expect(each.locator(".u-pair .prompt").first).to_have_text(worst.prompt)
        for name, format in (("Report", "html"), ("CSV", "csv")):
            address = f"/api/v1/evaluations/{many.id}/export?format={format}&base=policy&policy=again"
            expect(each.get_by_role("link", name=name)).to_have_attribute("href", address)
    page.get_by_role("button", name="as API call").click()
    expect(page.locator("dialog")).to_contain_text(f"/evaluations/{many.id}?base=policy")


def test_differences_that_do_not_come_are_told_and_asked_for_again(
    open_page: OpenPage, client: StudioClient, many: Run
) -> None:
    page = open_page(f"/compare?id={many.id}")
    answers = iter([{"title": "Away", "detail": "come back later", "status": 503}])

    def answer(route: Route) -> None:
        problem = next(answers, None)
        route.continue_() if problem is None else route.fulfill(status=503, json=problem)

    page.route("**/api/v1/evaluations/*?base=again", answer)
    page.select_option("select[aria-label='Compared to']", "again")
    expect(page.get_by_label("By task").get_by_role("alert")).to_contain_text("come back later")
    expect(page.locator(".u-pair").first).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text(fates_of(client, many, "again", "policy"))).to_be_visible()


def test_a_link_that_names_no_policy_opens_what_there_is(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}&base=step-99")
    expect(page.locator("select[aria-label='Compared to']")).to_have_value("base")
    expect(page.locator(".u-forest circle").first).to_be_visible()
