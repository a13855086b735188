"""A pair looked at closely, more than two policies, links that carry what is seen, the report opened from the disk."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from backend.client import StudioClient
from backend.schemas.figure import kind_of
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

# The first request of frames brings torch, which takes its time on a machine that also trains.
FIRST_MS = 290_000


def told(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def open_first(page: Page) -> None:
    page.locator(".u-pair-pictures").first.click()
    expect(page.locator("dialog .u-slider img")).to_have_count(2)


def test_both_replays_go_step_by_step_together(open_page: OpenPage, client: StudioClient, many: Run) -> None:
    pairs = client.list_pairs(many.id, limit=100).data
    pair = next(each for each in pairs if each.base.has_trajectory)
    page = open_page(f"/compare?id={many.id}&pair={pair.policy.id}&look=replays")
    sides = [page.locator("dialog").get_by_label(f"replay of {name}") for name in ("base", "tuned")]
    for side in sides:
        expect(side.locator("canvas")).to_have_attribute("aria-label", re.compile("at step 4$"))
    page.keyboard.press("ArrowLeft")
    for side in sides:
        expect(side.locator("canvas")).to_have_attribute("aria-label", re.compile("at step 3$"))
        expect(side.locator("img")).to_have_attribute("src", re.compile(r"/frames/2\?origin="))
    page.keyboard.press("Home")
    page.keyboard.press("l")
    expect(sides[1].locator("canvas")).to_have_attribute("aria-label", re.compile("tuned: confidence .* at step 1$"))
    page.locator("dialog input[type=range]").fill("1")
    expect(sides[0].locator("canvas")).to_have_attribute("aria-label", re.compile("at step 2$"))
    # What the evaluation has not decoded is asked for, and comes without a reload.
    for side in sides:
        expect(side.locator("img")).to_have_attribute("src", re.compile(r"/frames/1\?origin=decoded"), timeout=FIRST_MS)
    page.keyboard.press("Space")
    expect(sides[0].locator("canvas")).to_have_attribute("aria-label", re.compile("at step 4$"))


def test_pictures_without_unmasking_steps_say_why(open_page: OpenPage, client: StudioClient, many: Run) -> None:
    pairs = client.list_pairs(many.id, limit=100).data
    pair = next(each for each in pairs if not each.base.has_trajectory)
    page = open_page(f"/compare?id={many.id}&pair={pair.policy.id}&look=replays")
    expect(page.locator("dialog")).to_contain_text("keeps the unmasking steps of its first 6 prompts")


def test_keys_go_from_pair_to_pair_and_from_look_to_look(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}")
    open_first(page)
    first = told(page)["pair"]
    previous = page.get_by_role("button", name="Previous pair (↑)")
    page.keyboard.press("ArrowDown")
    expect(previous).to_be_enabled()
    assert told(page)["pair"] != first
    page.keyboard.press("ArrowUp")
    expect(previous).to_be_disabled()
    assert told(page)["pair"] == first
    page.keyboard.press("2")
    expect(page.locator("dialog figure img")).to_have_count(2)
    assert told(page)["look"] == ["beside"]
    page.keyboard.down("f")
    assert page.locator("dialog figcaption b:not([class])").all_inner_texts() == ["tuned", "base"]
    page.keyboard.up("f")
    assert page.locator("dialog figcaption b:not([class])").all_inner_texts() == ["base", "tuned"]
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    expect(page.locator("dialog input[type=range]")).to_have_value("55")
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "pair=" not in url)


def test_any_two_of_many_policies_are_compared_and_a_link_opens_the_same(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}")
    expect(page.get_by_label("Every policy").locator("thead th")).to_have_text(["task", "base", "tuned", "again"])
    page.select_option("select[aria-label=View]", "grid")
    expect(page.locator(".u-columns").first.locator("img")).to_have_count(3)
    # The base again, whatever the tuned one has learned: the same policy, prompts and seeds.
    page.select_option("select[aria-label=Policy]", "again")
    expect(page.locator("h1")).to_contain_text("0 [0, 0]")
    expect(page.get_by_text("24 of 24 pairs stored: 0 wins, 0 losses, 24 equal")).to_be_visible()
    page.locator(".u-columns").first.get_by_title("Compare tuned closely").click()
    expect(page.locator("dialog .u-row span")).to_have_text(["base", "tuned"])
    page.select_option("dialog select[aria-label=Left]", "again")
    expect(page.locator("dialog .u-row span")).to_have_text(["again", "tuned"])
    linked = open_page(page.url)
    expect(linked.locator("dialog .u-row span")).to_have_text(["again", "tuned"])
    expect(linked.locator("select[aria-label=Policy]")).to_have_value("again")


def test_the_first_policy_seen_from_another_has_the_turned_difference(
    open_page: OpenPage, client: StudioClient, many: Run
) -> None:
    measured = client.get_comparison(many.id).difference
    assert measured is not None
    page = open_page(f"/compare?id={many.id}&base=policy&policy=base")
    wins, losses = (f"{measured.values[name]:g}" for name in ("num_losses", "num_wins"))
    expect(page.get_by_text(re.compile(f"{wins} wins?, {losses} loss(es)?, .* of all pictures"))).to_be_visible()
    expect(page.locator(".u-forest tbody tr").first).to_contain_text("overall")
    answer = page.request.get(f"/api/v1/evaluations/{many.id}/export?format=html&base=policy&policy=base")
    assert '<svg class="forest"' in answer.text()


def test_a_rise_of_fid_is_a_loss_and_stands_on_an_axis_of_its_own(open_page: OpenPage, many: Run) -> None:
    def with_distance(route: Route) -> None:
        found = route.fetch().json()
        for each, value in [
            *zip(found["scores"], (40, 75, 41), strict=True),
            *zip(found["differences"], (35, 1), strict=True),
        ]:
            each["values"]["fid"] = value
            each["intervals"]["fid"] = [value - 15, value + 15]
        found["figure_kinds"]["fid"] = kind_of("fid").model_dump()
        route.fulfill(json=found)

    page = open_page("/runs")
    page.route(f"**/api/v1/evaluations/{many.id}", with_distance)
    page.goto(f"{page.url.removesuffix('/runs')}/compare?id={many.id}")
    row = page.locator(".u-forest tbody tr", has_text="fid")
    expect(row).to_contain_text("lower is better")
    expect(row.locator("circle")).to_have_attribute("fill", "var(--u-failed)")
    expect(page.locator(".u-forest .u-axis")).to_have_count(2)
    expect(page.locator(".u-forest thead .u-axis")).not_to_contain_text("+20")
    cells = page.locator(".u-many tbody tr", has_text="fid").locator("td")
    expect(cells.nth(1).locator(".u-down")).to_have_text("+35")
    expect(cells.nth(2).locator(".u-down, .u-up")).to_have_count(0)


def test_pairs_are_chosen_by_their_difference(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}&policy=again&min_difference=0.5")
    expect(page.get_by_text("No pair differs by so much")).to_be_visible()
    page.get_by_label("Difference from (reward)").fill("")
    page.get_by_label("Difference from (reward)").press("Tab")
    expect(page.locator(".u-pair")).to_have_count(24)
    assert "min_difference" not in told(page)


def test_a_link_to_a_pair_that_is_gone_says_so(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}&pair={many.id}")
    expect(page.get_by_role("alert")).to_contain_text("is in no pair of base and policy")


def test_the_link_is_copied(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.select_option("select[aria-label=Order]", "best")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert told(page)["order"] == ["best"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_report_opens_from_the_disk_and_asks_nobody(
    open_page: OpenPage, browser: Browser, many: Run, tmp_path: Path, width: int, scheme: str
) -> None:
    page = open_page(f"/compare?id={many.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Report").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)  # type: ignore[arg-type]
    asked: list[str] = []
    report = context.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.on("console", lambda message: asked.append(message.text))
    report.goto(path.as_uri())
    expect(report.locator("h1")).to_have_text("three policies: base against tuned")
    expect(report.locator("svg.forest circle").first).to_be_visible()
    pictures = report.locator("img")
    assert report.evaluate("[...document.images].every(each => each.complete && each.naturalWidth === 64)")
    assert pictures.count() > 0
    assert pictures.count() % 3 == 0, "of every pair the pictures of all policies"
    ground = report.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 19, 23)" if scheme == "dark" else "rgb(246, 246, 248)")
    assert report.evaluate("document.documentElement.scrollWidth") <= width
    assert [each for each in asked if not each.startswith("data:")] == [path.as_uri()]
    report.emulate_media(media="print")
    ink = report.evaluate("getComputedStyle(document.body).color")
    assert ink == "rgb(27, 28, 32)", "paper is light, whatever the screen is"
    context.close()


def test_the_table_holds_every_pair(open_page: OpenPage, client: StudioClient, many: Run, tmp_path: Path) -> None:
    page = open_page(f"/compare?id={many.id}&policy=again")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    path = tmp_path / "pairs.csv"
    download.value.save_as(path)
    lines = list(csv.DictReader(path.read_text().splitlines()))
    assert (len(lines), {line["policy"] for line in lines}) == (24, {"again"})


def test_a_pair_fits_a_phone(open_page: OpenPage, many: Run) -> None:
    page = open_page(f"/compare?id={many.id}&view=grid", width=390, height=844, scheme="dark")
    expect(page.locator(".u-columns").first.locator("img")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".u-pair-pictures").nth(1).click()
    for key in "123":
        page.keyboard.press(key)
        expect(page.locator("dialog .u-close-body")).not_to_be_empty()
        assert page.locator("dialog").evaluate("box => box.scrollWidth <= box.clientWidth")
