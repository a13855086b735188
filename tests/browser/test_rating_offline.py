"""The rater's page without a network: opened anew, voted on, and what is kept goes when it is no longer theirs."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from backend.client import StudioClient
from backend.schemas.preference import LabelTask, LabelTaskEdit, NewRater, RaterEdit, TaskStatus
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import RatingPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Everything that is kept: names of caches, their addresses and the texts in them.
_KEPT = """async () => {
  const told = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      const path = request.url.replace(location.origin, "");
      const isFile = path.startsWith("/studio/") || path.includes("/pictures/");
      told.push({ name, path, text: isFile ? "" : await response.text() });
    }
  }
  return told;
}"""
_PAIRS = "unmask-rate-pairs-"


@pytest.fixture
def task(client: StudioClient, trained: Run) -> LabelTask:
    """Twelve pairs that nobody has voted on."""
    return label_task(client, trained)


def kept(page: Page, prefix: str) -> list[dict[str, str]]:
    """What the browser keeps under names that begin so."""
    return [each for each in page.evaluate(_KEPT) if each["name"].startswith(prefix)]


def wait_for_kept(page: Page, num_pairs: int) -> None:
    """Waits until the page itself and pictures of so many pairs are kept."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    for _ in range(200):
        if len([each for each in kept(page, _PAIRS) if "/pictures/" in each["path"]]) == 2 * num_pairs:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not {num_pairs} pairs: {kept(page, _PAIRS)}")


def opened(open_page: OpenPage, link: NewRater) -> RatingPage:
    """The page of a link, with everything kept that it keeps."""
    rating = RatingPage(open_page(link.url))
    rating.wait_for_pair()
    wait_for_kept(rating.page, 5)
    return rating


def offline(context: BrowserContext, *, is_on: bool = True) -> None:
    context.set_offline(is_on)


def test_the_page_opens_without_a_network_and_votes_go_on_and_arrive(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    rating = opened(open_page, rater(client, task))
    page = rating.page
    rating.press("ArrowLeft")
    rating.expect_sent()
    wait_for_kept(page, 5)
    question = page.locator("h1").inner_text()
    offline(page.context)
    page.reload()
    rating.wait_for_pair()
    assert page.locator("h1").inner_text() == question, "the pair that was on screen"
    expect(page.get_by_text("these pairs were kept ahead in this browser")).to_be_visible()
    expect(page.locator(".u-rate-count")).to_have_text("1 of 12")
    for key in ("ArrowRight", "ArrowUp", "ArrowDown"):
        rating.press(key)
    expect(page.get_by_text("3 votes waiting to be sent")).to_be_visible()
    wait_for_kept(page, 2)
    page.reload()
    rating.wait_for_pair()
    expect(page.locator(".u-rate-count")).to_have_text("4 of 12")
    rating.press("ArrowLeft")
    rating.press("ArrowLeft")
    expect(page.get_by_text("No connection", exact=True)).to_be_visible()
    assert len(votes(client, task)) == 1
    offline(page.context, is_on=False)
    rating.expect_sent()
    rating.wait_for_pair()
    given = votes(client, task)
    assert [vote.choice.value for vote in given] == ["left", "right", "tie", "both_bad", "left", "left"]
    assert len({vote.pair_id for vote in given}) == 6
    expect(page.locator(".u-rate-count")).to_have_text("6 of 12")


def test_what_is_kept_names_no_key_and_nothing_that_made_the_pictures(
    open_page: OpenPage, client: StudioClient, trained: Run, task: LabelTask
) -> None:
    ann = rater(client, task)
    rating = opened(open_page, ann)
    found = kept(rating.page, "")
    listed = next(each["text"] for each in found if each["path"] == "/rate/kept")
    assert '"prompt"' in listed
    rating.press("ArrowLeft")
    rating.expect_sent()
    sides = [side for vote in votes(client, task) for side in (vote.side_0, vote.side_1)]
    secrets = {ann.token, ann.label, task.name, str(task.id), str(trained.id), trained.name, "/runs/", "reward", ".png"}
    secrets |= {str(side.sample_id) for side in sides} | {side.policy for side in sides}
    told = "\n".join(f"{each['name']} {each['path']} {each['text']}" for each in found)
    assert {secret for secret in secrets if secret in told} == set()


def test_a_pair_is_kept_no_longer_than_it_is_this_raters_to_judge(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    rating = opened(open_page, rater(client, task))
    page = rating.page
    before = {each["path"] for each in kept(page, _PAIRS)}
    offline(page.context)
    rating.press("ArrowLeft")
    wait_for_kept(page, 4)
    assert {each["path"] for each in kept(page, _PAIRS)} < before, "the pair that was voted on is gone"
    rating.press("u")
    wait_for_kept(page, 5)
    offline(page.context, is_on=False)
    rating.expect_sent()
    client.edit_label_task(task.id, LabelTaskEdit(status=TaskStatus.CLOSED))
    page.reload()
    expect(page.get_by_text("This task is closed")).to_be_visible()
    wait_for_kept(page, 0)
    assert kept(page, _PAIRS) == []


def test_another_raters_link_and_a_withdrawn_one_take_away_what_was_kept(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    ann, bob = rater(client, task), rater(client, task, "Bob")
    page = opened(open_page, ann).page
    [first] = {each["name"] for each in kept(page, _PAIRS)}
    # Only what follows the # differs, so the page loads itself anew.
    with page.expect_event("load"):
        page.goto(bob.url)
    RatingPage(page).wait_for_pair()
    wait_for_kept(page, 5)
    [second] = {each["name"] for each in kept(page, _PAIRS)}
    assert first != second
    client.edit_rater(bob.id, RaterEdit(is_revoked=True))
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("This link is no longer good")).to_be_visible()
    wait_for_kept(page, 0)
    offline(page.context)
    page.reload()
    expect(page.get_by_text("No connection", exact=True)).to_be_visible()


def test_no_other_page_of_the_studio_is_served_by_it(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    page = opened(open_page, rater(client, task)).page
    [scope] = page.evaluate("navigator.serviceWorker.getRegistrations().then(all => all.map(each => each.scope))")
    assert scope.endswith("/rate")
    other = page.context.new_page()
    other.goto("/label")
    assert other.evaluate("navigator.serviceWorker.controller") is None
    page.reload()
    assert page.evaluate("navigator.serviceWorker.controller !== null")


def test_where_a_browser_has_no_service_workers_the_page_is_as_it_was(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    first = open_page("/rate")
    # As over plain HTTP from another computer, which is no secure address.
    first.context.add_init_script(
        "delete Navigator.prototype.serviceWorker; delete window.caches; delete Crypto.prototype.subtle;"
    )
    page = first.context.new_page()
    page.goto(rater(client, task).url)
    rating = RatingPage(page)
    rating.wait_for_pair()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("[navigator.serviceWorker, window.caches, crypto.subtle].every(each => each === undefined)")
    offline(page.context)
    rating.press("ArrowLeft")
    expect(page.get_by_text("1 vote waiting to be sent")).to_be_visible()
    offline(page.context, is_on=False)
    rating.expect_sent()
    assert len(votes(client, task)) == 1
