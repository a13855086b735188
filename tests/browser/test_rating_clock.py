"""A computer's clock that is set back while votes wait: what a rater did is sent in the order in which it was done."""

from __future__ import annotations

import pytest

from backend.client import StudioClient
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import RatingPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_SET_BACK = "{ const now = Date.now; Date.now = () => now() - 60_000; }"
_WAITING = """Object.keys(localStorage).filter(key => key.startsWith("unmask-rating/")).sort()
    .map(key => JSON.parse(localStorage.getItem(key)).kind)"""


def test_an_undo_stays_behind_its_vote_though_the_clock_was_set_back_between_two_visits(
    open_page: OpenPage, client: StudioClient, trained: Run
) -> None:
    task = label_task(client, trained)
    rating = RatingPage(open_page(rater(client, task).url))
    page = rating.page
    rating.wait_for_pair()
    page.route("**/rating/votes/*", lambda route: route.abort())
    rating.press("ArrowLeft")
    assert page.evaluate(_WAITING) == ["vote"]
    page.add_init_script(_SET_BACK)
    page.reload()
    rating.wait_for_pair()
    rating.press("u")
    assert page.evaluate(_WAITING) == ["vote", "undo"]
    page.unroute("**/rating/votes/*")
    rating.expect_sent()
    [vote] = votes(client, task)
    assert vote.undone_at is not None, "the vote that was taken back is not counted"
