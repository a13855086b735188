"""Pair sets: votes become one, files are read or refused row by row, pairs are looked at, and what is used stays."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.pair_set import PairFormat, PairSet, PairSetCreate
from backend.schemas.preference import Choice, LabelTask, VotePut
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def voted(client: StudioClient, trained: Run) -> LabelTask:
    """Thirty pairs, two votes each: a person's for the left, a program's for the right picture."""
    task = label_task(client, trained, name="to be frozen", num_pairs=30)
    for name, choice, is_simulated in (("Ann", Choice.LEFT, False), ("Robot", Choice.RIGHT, True)):
        link = rater(client, task, name, is_simulated=is_simulated)
        while pairs := client.next_pairs(link.token, count=1).data:
            client.put_vote(link.token, uuid4(), VotePut(pair_id=pairs[0].pair_id, choice=choice, latency_ms=900))
    return task


@pytest.fixture(scope="module")
def frozen(client: StudioClient, voted: LabelTask) -> PairSet:
    return client.create_pair_set(PairSetCreate(name="everybody", label_task_id=voted.id))


def expect_set(page: Page) -> str:
    """Waits for a set's page; gives its SHA-256."""
    page.wait_for_url("**/pairs?id=*")
    return page.url.partition("id=")[2]


def test_votes_are_frozen_on_the_page_and_programs_are_left_out_unless_asked_for(
    open_page: OpenPage, client: StudioClient, voted: LabelTask
) -> None:
    page = open_page("/label")
    page.get_by_role("main").get_by_role("link", name="Pair sets").click()
    page.get_by_role("button", name="Freeze votes").first.click()
    page.get_by_role("combobox", name="Label task").select_option(str(voted.id))
    expect(page.get_by_role("textbox", name="Name")).to_have_value("to be frozen")
    expect(page.get_by_role("checkbox", name="Ann")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Robot")).not_to_be_checked()
    page.get_by_role("button", name="Freeze", exact=True).click()
    sha256 = expect_set(page)
    expect(page.get_by_role("heading", name="to be frozen")).to_be_visible()
    found = client.get_pair_set(sha256)
    assert (found.num_votes, found.num_simulated_raters) == (30, 0)
    expect(page.get_by_role("region", name="Where it comes from")).to_contain_text("30 votes of excluded raters")


def test_pairs_are_paged_and_one_tells_its_votes_and_what_made_it(
    open_page: OpenPage, frozen: PairSet, trained: Run
) -> None:
    page = open_page(f"/pairs?id={frozen.sha256}")
    tiles = page.get_by_role("region", name="Pairs").get_by_role("article")
    expect(tiles).to_have_count(24)
    expect(tiles.first).to_contain_text("1 simulated")
    page.get_by_role("button", name="Load more").click()
    expect(tiles).to_have_count(30)
    picture = tiles.first.get_by_role("img").first
    picture.evaluate("image => image.decode()")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    tiles.first.get_by_role("button").click()
    closer = page.get_by_role("dialog")
    expect(closer.get_by_role("row")).to_have_count(3)
    expect(closer.get_by_text("simulated")).to_have_count(1)
    expect(closer.get_by_role("link", name=f"run {str(trained.id)[-8:]}").first).to_be_visible()
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename.startswith("everybody-")
    page.get_by_role("link", name="Train a reward model").click()
    expect(page.locator("#launch-side pre").first).to_contain_text(f"source: {frozen.sha256}")


def test_an_exported_file_comes_in_again_and_a_bad_one_is_refused_row_by_row(
    open_page: OpenPage, client: StudioClient, frozen: PairSet, tmp_path: Path
) -> None:
    good, bad = tmp_path / "theirs.parquet", tmp_path / "bad.csv"
    client.export_pair_set(frozen.sha256, PairFormat.PICK_A_PIC, good)
    bad.write_text("prompt,image_0,image_1,label_0\na star,x.png,y.png,2\n,x.png,y.png,1\n")
    page = open_page("/pairs")
    page.keyboard.press("i")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a file")
    page.get_by_label("File", exact=True).set_input_files(bad)
    expect(page.get_by_role("combobox", name="Format")).to_have_value("csv")
    page.get_by_role("button", name="Import", exact=True).click()
    rows = page.get_by_role("alert").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("label_0")
    expect(rows.nth(2)).to_contain_text("the prompt is empty")
    page.get_by_label("File", exact=True).set_input_files(good)
    page.get_by_role("textbox", name="Name").fill("from elsewhere")
    page.get_by_role("button", name="Import", exact=True).click()
    expect_set(page)
    expect(page.get_by_role("region", name="Where it comes from")).to_contain_text("theirs.parquet, Pick-a-Pic")
    page.goto("/pairs")
    expect(page.get_by_role("row", name="from elsewhere")).to_contain_text("1 simulated")


def test_a_set_that_a_run_names_is_not_deleted_and_an_unused_one_is(
    open_page: OpenPage, client: StudioClient, frozen: PairSet, tmp_path: Path
) -> None:
    config = {"kind": "reward_model", "name": "named once", "pairs": {"source": frozen.sha256}}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    client.cancel_run(run.id)
    page = open_page(f"/pairs?id={frozen.sha256}")
    expect(page.get_by_role("region", name="Learned from it")).to_contain_text("named once")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete the pair set").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(f"is used by 1 runs, the newest {run.id}")
    table = tmp_path / "votes.zip"
    client.export_pair_set(frozen.sha256, PairFormat.CSV, table, with_pictures=True)
    unused = client.upload_pair_set(table, PairFormat.CSV, "unused")
    page.goto(f"/pairs?id={unused.sha256}")
    expect(page.get_by_role("region", name="Learned from it")).to_contain_text("No reward model has learned from it")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete the pair set").click()
    page.wait_for_url("**/pairs")
    expect(page.get_by_role("row", name="everybody")).to_be_visible()
    expect(page.get_by_role("row", name="unused")).to_have_count(0)


def test_nothing_is_cut_on_any_width_in_both_colours(open_page: OpenPage, frozen: PairSet) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        for path in ("/pairs", f"/pairs?id={frozen.sha256}", f"/pairs?id={'0' * 64}"):
            page = open_page(path, width=width, height=844, scheme=scheme)
            expect(page.locator(".u-part :is(h1, [role=alert])").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            expect(page.get_by_role("navigation").get_by_role("link", name="Pair sets")).to_have_attribute(
                "aria-current", "page"
            )
