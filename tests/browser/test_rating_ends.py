"""How a rater's visit ends: all done, the task closed, the link withdrawn or cut short."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.preference import LabelTaskEdit, RaterEdit, TaskStatus
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import RatingPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_who_has_seen_every_pair_is_thanked_and_can_still_take_the_last_one_back(
    open_page: OpenPage, client: StudioClient, trained: Run
) -> None:
    task = label_task(client, trained, num_pairs=2, votes_per_pair=1)
    rating = RatingPage(open_page(rater(client, task).url))
    rating.wait_for_pair()
    rating.press("ArrowLeft")
    rating.press("ArrowLeft")
    expect(rating.page.get_by_text("All done, thank you")).to_be_visible()
    rating.page.get_by_role("button", name="Undo the last vote").click()
    rating.wait_for_pair()
    rating.press("ArrowRight")
    expect(rating.page.get_by_text("All done, thank you")).to_be_visible()
    rating.expect_sent()
    standing = [vote.choice.value for vote in votes(client, task) if vote.undone_at is None]
    assert standing == ["left", "right"]


def test_a_closed_task_says_so_and_takes_what_was_on_its_way(
    open_page: OpenPage, client: StudioClient, trained: Run
) -> None:
    task = label_task(client, trained)
    link = rater(client, task)
    rating = RatingPage(open_page(link.url))
    rating.wait_for_pair()
    rating.page.wait_for_load_state("networkidle")
    rating.page.context.set_offline(True)
    rating.press("ArrowLeft")
    client.edit_label_task(task.id, LabelTaskEdit(status=TaskStatus.CLOSED))
    rating.page.context.set_offline(False)
    rating.expect_sent()
    assert len(votes(client, task)) == 1, "a vote that was cast before is kept"
    expect(open_page(link.url).get_by_text("This task is closed")).to_be_visible()


def test_a_withdrawn_link_opens_nothing_also_where_it_is_open_already(
    open_page: OpenPage, client: StudioClient, trained: Run
) -> None:
    link = rater(client, label_task(client, trained))
    rating = RatingPage(open_page(link.url))
    rating.wait_for_pair()
    client.edit_rater(link.id, RaterEdit(is_revoked=True))
    rating.page.keyboard.press("ArrowLeft")
    expect(rating.page.get_by_text("This link is no longer good")).to_be_visible()
    expect(rating.page.locator("img")).to_have_count(0)
    expect(open_page(link.url).get_by_text("This link is no longer good")).to_be_visible()


def test_a_link_without_its_code_says_what_is_missing(open_page: OpenPage) -> None:
    expect(open_page("/rate").get_by_text("The link is not complete")).to_be_visible()
    expect(open_page("/rate#rater_nobody").get_by_text("This link is no longer good")).to_be_visible()


def test_a_browser_that_keeps_nothing_and_makes_no_ids_of_its_own_still_votes(
    open_page: OpenPage, client: StudioClient, trained: Run
) -> None:
    task = label_task(client, trained)
    page = open_page("/rate")
    # As over plain HTTP from another computer, in a browser that forbids pages to keep anything.
    page.context.add_init_script(
        "delete Crypto.prototype.randomUUID; delete Navigator.prototype.locks;"
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    page = page.context.new_page()
    page.goto(rater(client, task).url)
    rating = RatingPage(page)
    rating.wait_for_pair()
    assert page.evaluate("[crypto.randomUUID, navigator.locks].every(each => each === undefined)")
    rating.press("ArrowLeft")
    rating.press("ArrowRight")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        rating.press("u")
    given = votes(client, task)
    assert [vote.choice.value for vote in given] == ["left", "right"]
    assert [vote.undone_at is None for vote in given] == [True, False]
    assert all(vote.id.version == 4 for vote in given)
