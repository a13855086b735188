"""The rater's page: blind, quick; no vote is lost or counted twice, whatever network, tabs and server do."""

from __future__ import annotations

import re
from collections.abc import Callable

import psutil
import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.preference import LabelTask, NewRater
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import RatingPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def task(client: StudioClient, trained: Run) -> LabelTask:
    """Twelve pairs that nobody has voted on."""
    return label_task(client, trained)


@pytest.fixture
def ann(client: StudioClient, task: LabelTask) -> NewRater:
    """A rater of that task."""
    return rater(client, task)


def opened(open_page: OpenPage, link: NewRater, **size: int) -> RatingPage:
    found = RatingPage(open_page(link.url, **size))
    found.wait_for_pair()
    return found


def test_a_rater_sees_two_pictures_and_a_prompt_and_nothing_of_what_made_them(
    open_page: OpenPage, client: StudioClient, trained: Run, task: LabelTask, ann: NewRater
) -> None:
    page = open_page("/label")
    told: list[str] = []
    page.on("request", lambda request: told.append(request.url))
    page.on(
        "response",
        lambda answer: told.append(answer.text() if "json" in answer.headers.get("content-type", "") else ""),
    )
    page.goto(ann.url)
    rating = RatingPage(page)
    rating.wait_for_pair()
    for key in ("ArrowLeft", "ArrowUp", "s", "u"):
        rating.press(key)
    rating.expect_sent()
    told += [page.content(), str(page.evaluate("JSON.stringify([localStorage, sessionStorage])")), page.title()]
    sides = [side for vote in votes(client, task) for side in (vote.side_0, vote.side_1)]
    assert len(sides) == 6
    secrets = {
        str(trained.id),
        trained.name,
        task.name,
        str(task.id),
        ann.label,
        "/runs/",
        "/samples/",
        "reward",
        ".png",
    }
    secrets |= {str(side.sample_id) for side in sides} | {side.image_sha256 for side in sides}
    secrets |= {side.image_path for side in sides} | {side.policy for side in sides}
    seen = "\n".join(told)
    assert ann.token in page.url, "the link is what is open"
    assert {secret for secret in secrets if secret in seen} == set()
    assert ann.token not in "\n".join(url for url in told if url.startswith("http")), "the token is in no address sent"
    for gone in (".u-nav", "gradio-app", "a[href]"):
        expect(page.locator(gone)).to_have_count(0)
    prompt = votes(client, task)[0].prompt
    alts = [image.get_attribute("alt") for image in page.locator(".u-rate-side img").all()]
    assert all(re.fullmatch(r"(left|right) picture for: .+", str(alt)) for alt in alts), (alts, prompt)


def test_each_key_is_its_choice_and_the_guideline_is_shown_once(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    expect(rating.page.get_by_text("Look at the colours.")).to_be_visible()
    rating.page.get_by_role("button", name="I have read it").click()
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "s"):
        rating.press(key)
    expect(rating.page.locator(".u-rate-count")).to_have_text("5 of 12")
    rating.expect_sent()
    given = votes(client, task)
    assert [vote.choice.value for vote in given] == ["left", "right", "tie", "both_bad", "skip"]
    assert len({vote.pair_id for vote in given}) == 5
    assert all(0 < vote.latency_ms < 120_000 for vote in given)
    for vote in given[:2]:
        chose_first = (vote.choice == "left") is not vote.is_swapped
        assert vote.outcome.value == ("0" if chose_first else "1")
    rating.page.reload()
    rating.wait_for_pair()
    expect(rating.page.get_by_text("Look at the colours.")).to_be_hidden()
    expect(rating.page.locator(".u-rate-count")).to_have_text("5 of 12")


def test_the_next_pair_is_there_before_the_key_and_needs_no_request(open_page: OpenPage, ann: NewRater) -> None:
    rating = opened(open_page, ann)
    page = rating.page
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    is_next = """() => {
      const shown = () => [...document.querySelectorAll(".u-rate-side img")].map((each) => each.src).join();
      const before = shown();
      dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
      const images = [...document.querySelectorAll(".u-rate-side img")];
      const isDecoded = images.length === 2 && images.every((each) => each.complete && each.naturalWidth > 0);
      return isDecoded && shown() !== before;
    }"""
    assert page.evaluate(is_next), "in the same turn, decoded"
    assert page.evaluate(is_next)
    assert not [url for url in asked if "/pictures/" in url]
    page.context.set_offline(False)


def test_undo_brings_the_pair_back_and_the_studio_keeps_both_votes(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    first = rating.pair()
    rating.press("ArrowLeft")
    rating.press("ArrowLeft")
    rating.press("u")
    rating.press("u")
    assert rating.pair() == first
    expect(rating.page.locator(".u-rate-count")).to_have_text("0 of 12")
    rating.press("ArrowRight")
    rating.expect_sent()
    given = votes(client, task)
    assert len(given) == 3
    assert given[0].pair_id == given[2].pair_id
    assert [(vote.choice.value, vote.undone_at is None) for vote in given] == [
        ("left", False),
        ("left", False),
        ("right", True),
    ]
    rating.page.reload()
    rating.wait_for_pair()
    rating.page.keyboard.press("u")
    expect(rating.page.get_by_text("Taken back. Choose again.")).to_be_visible()
    rating.expect_sent()
    assert votes(client, task)[2].undone_at is not None, "a reload forgets nothing of this tab"


def test_a_flag_says_why_and_the_pair_stays(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    shown = rating.pair()
    rating.page.keyboard.press("f")
    rating.page.get_by_role("button", name="A picture is broken or missing").click()
    rating.page.keyboard.press("f")
    rating.page.get_by_label("Something else").fill("both are upside down")
    rating.page.keyboard.press("Enter")
    expect(rating.page.get_by_role("dialog")).to_have_count(0)
    rating.expect_sent()
    assert rating.pair() == shown
    flags = client.list_flags(task.id).data
    assert [flag.reason for flag in flags] == ["A picture is broken or missing", "both are upside down"]
    assert votes(client, task) == []


def test_votes_without_a_network_wait_in_the_browser_and_arrive_once_from_another_visit(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann)
    page, context = rating.page, rating.page.context
    page.wait_for_load_state("networkidle")
    context.set_offline(True)
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight"):
        rating.press(key)
    expect(page.get_by_text("3 votes waiting to be sent")).to_be_visible()
    assert rating.num_waiting() == 3
    assert votes(client, task) == []
    page.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(ann.url)
    rating = RatingPage(again)
    rating.wait_for_pair()
    rating.expect_sent()
    given = votes(client, task)
    assert [vote.choice.value for vote in given] == ["left", "tie", "right"]
    expect(again.locator(".u-rate-count")).to_have_text("3 of 12")
    again.wait_for_load_state("networkidle")
    context.set_offline(True)
    while again.locator(".u-rate-side img").count() == 2:
        again.keyboard.press("ArrowLeft")
        again.wait_for_timeout(50)
    expect(again.get_by_text("No connection")).to_be_visible()
    num_cast = 3 + rating.num_waiting()
    context.set_offline(False)
    rating.wait_for_pair()
    rating.expect_sent()
    given = votes(client, task)
    assert len(given) == num_cast
    assert len({vote.pair_id for vote in given}) == num_cast


def test_votes_cast_while_the_web_process_is_dead_arrive_once_it_is_back(
    open_page: OpenPage,
    client: StudioClient,
    task: LabelTask,
    ann: NewRater,
    web_process: Callable[[], psutil.Process],
) -> None:
    rating = opened(open_page, ann)
    rating.page.wait_for_load_state("networkidle")
    web_process().kill()
    rating.press("ArrowLeft")
    rating.press("ArrowDown")
    expect(rating.page.get_by_text("waiting to be sent")).to_be_visible()
    rating.expect_sent()
    assert [vote.choice.value for vote in votes(client, task)] == ["left", "both_bad"]
    expect(rating.page.get_by_text("waiting to be sent")).to_be_hidden()


def test_two_tabs_of_one_rater_never_vote_twice_on_a_pair(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    first = opened(open_page, ann)
    other_page = first.page.context.new_page()
    other_page.goto(ann.url)
    other = RatingPage(other_page)
    other.wait_for_pair()
    question = first.page.locator("h1").inner_text()
    assert other_page.locator("h1").inner_text() == question, "both show the same pair"
    for voter, watcher in [(first, other), (other, first), (first, other)]:
        shown = watcher.pair()
        voter.press("ArrowLeft")
        watcher.wait_for_other_than(shown)
        expect(watcher.page.get_by_text("You have voted on that pair in another tab.")).to_be_visible()
    for _ in range(2):
        # Both at once, before either can have heard of the other: the studio takes one of them.
        first.page.keyboard.press("ArrowRight")
        other.page.keyboard.press("ArrowUp")
    first.expect_sent()
    other.expect_sent()
    given = votes(client, task)
    assert 4 <= len(given) <= 7
    assert len({vote.pair_id for vote in given}) == len(given), "no pair has two votes"
    assert {vote.undone_at for vote in given} == {None}
    for tab in (first, other):
        tab.page.reload()
        expect(tab.page.locator(".u-rate-count")).to_have_text(f"{len(given)} of 12")


def test_on_a_phone_both_pictures_are_seen_whole_and_a_tap_chooses(
    open_page: OpenPage, client: StudioClient, task: LabelTask, ann: NewRater
) -> None:
    rating = opened(open_page, ann, width=390, height=844)
    page = rating.page
    page.get_by_role("button", name="I have read it").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.scrollHeight") <= 844, "no scrolling to reach a button"
    boxes = [image.bounding_box() for image in page.locator(".u-rate-side").all()]
    for box in boxes:
        assert box is not None
        assert box["width"] >= 170
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    for name in ("Left", "Right", "Tie", "Both bad", "Skip", "Flag", "Undo"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box is not None
        assert box["height"] >= 44, name
    shown = rating.pair()
    page.get_by_role("button", name="Choose the right picture").click()
    page.wait_for_function("old => document.querySelector('.u-rate-side img')?.src !== old.split(',')[0]", arg=shown)
    page.get_by_role("button", name="Tie", exact=True).click()
    rating.expect_sent()
    assert [vote.choice.value for vote in votes(client, task)] == ["right", "tie"]
