"""Votes that the studio refuses for a reason nobody foresaw: kept, told, sent again, taken along, seen by the owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from backend.client import StudioClient
from backend.schemas.preference import LabelTask, NewRater, RaterEdit
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import RatingPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_VOTES = "**/api/v1/rating/votes/*"


@pytest.fixture
def task(client: StudioClient, trained: Run) -> LabelTask:
    """Three pairs that nobody has voted on."""
    return label_task(client, trained, num_pairs=3)


@pytest.fixture
def ann(client: StudioClient, task: LabelTask) -> NewRater:
    """A rater of that task."""
    return rater(client, task)


def opened(open_page: OpenPage, link: NewRater, **size: int) -> RatingPage:
    found = RatingPage(open_page(link.url, **size))
    found.wait_for_pair()
    return found


def refuse(page: Page, status: int = 422) -> None:
    """Has each vote refused on its way, as by a proxy or by a studio that was set back."""
    problem = {"title": "Malformed request", "status": status, "detail": "guideline_version is 3, and the newest is 1"}

    def answer(route: Route) -> None:
        route.fulfill(status=status, content_type="application/problem+json", body=json.dumps(problem))

    page.route(_VOTES, answer)


def num_refused(page: Page) -> int:
    """How many refused votes the browser keeps."""
    return int(
        page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('unmask-rating-refused/')).length")
    )


def test_a_refused_vote_is_kept_and_told_and_arrives_when_it_is_tried_again(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    page = rating.page
    refuse(page)
    rating.press("ArrowLeft")
    rating.press("ArrowUp")
    note = page.get_by_role("alert")
    expect(note).to_contain_text("2 votes not accepted: guideline_version is 3, and the newest is 1.")
    expect(page.locator(".u-rate-count")).to_have_text("0 of 3")
    page.reload()
    rating.wait_for_pair()
    expect(note).to_contain_text("2 votes not accepted")
    rating.press("ArrowRight")
    expect(note).to_contain_text("3 votes not accepted")
    expect(page.get_by_text("The studio offers only pairs whose votes it did not accept.")).to_be_visible()
    assert num_refused(page) == 3
    assert votes(client, task) == []
    page.unroute(_VOTES)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("All done, thank you")).to_be_visible()
    expect(note).to_have_count(0)
    assert num_refused(page) == 0
    assert [vote.choice.value for vote in votes(client, task)] == ["left", "tie", "right"]
    expect(page.locator(".u-rate-count")).to_have_text("3 of 3")


def test_the_owner_sees_what_was_refused_and_the_rater_can_take_it_along(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    page = rating.page
    refuse(page)
    with page.expect_response("**/api/v1/rating/flags"):
        rating.press("ArrowDown")
    [flag] = client.list_flags(task.id).data
    assert flag.rater_id == ann.id
    assert flag.reason.startswith("A vote was not accepted (422): guideline_version is 3")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    text = Path(download.value.path()).read_text()
    [told] = json.loads(text)
    assert (told["kind"], told["body"]["choice"], told["why"]["status"]) == ("vote", "both_bad", 422)
    assert told["body"]["pair_id"] == str(flag.pair_id)
    assert ann.token not in text


def test_a_vote_that_stands_already_is_not_counted_as_refused(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    page = rating.page
    # The same link on another computer, which was quicker: no storage tells this page of it.
    other = opened(open_page, ann)
    other.press("ArrowLeft")
    other.expect_sent()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("you have voted on this pair already")).to_be_visible()
    assert num_refused(page) == 0
    expect(page.get_by_role("alert")).to_have_count(0)
    assert [vote.choice.value for vote in votes(client, task)] == ["left"]


def test_votes_behind_a_withdrawn_link_are_told_and_kept(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    page = rating.page
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    rating.press("ArrowLeft")
    client.edit_rater(ann.id, RaterEdit(is_revoked=True))
    page.context.set_offline(False)
    expect(page.get_by_text("This link is no longer good")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("1 vote not sent: this link opens nothing any more.")
    assert rating.num_waiting() == 1
    client.edit_rater(ann.id, RaterEdit(is_revoked=False))
    page.get_by_role("button", name="Try again").click()
    rating.expect_sent()
    rating.wait_for_pair()
    assert [vote.choice.value for vote in votes(client, task)] == ["left"]


@pytest.mark.parametrize(
    ("status", "title"),
    [pytest.param(200, "Welcome", id="a network's own page"), pytest.param(403, "Sign in", id="a proxy's door")],
)
def test_what_answers_in_the_studios_place_takes_no_vote_and_makes_no_link_bad(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater, status: int, title: str
) -> None:
    rating = opened(open_page, ann)
    page = rating.page
    page.route(_VOTES, lambda route: route.fulfill(status=status, content_type="text/html", body=f"<h1>{title}</h1>"))
    rating.press("ArrowLeft")
    expect(page.get_by_text("1 vote waiting to be sent")).to_be_visible()
    assert (rating.num_waiting(), num_refused(page)) == (1, 0)
    page.unroute(_VOTES)
    rating.expect_sent()
    assert [vote.choice.value for vote in votes(client, task)] == ["left"]
