"""The Label pages: from a run to a task, its raters, its guideline, and what the votes say, each driven as an owner."""

from __future__ import annotations

import csv
import io
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.preference import Choice, LabelTask, LabelTaskEdit, NewRater, VotePut
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import OpenPage
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import RatingPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def two_runs(client: StudioClient) -> list[Run]:
    """Two sample runs on the same prompts and seeds, of few and of many unmasking steps."""
    runs = []
    for name, steps in (("few steps", 2), ("many steps", 8)):
        wanted = {"kind": "sample", "name": name, "num_prompts": 6, "policy": {"num_threads": 1}}
        config = run_config_adapter.validate_python(wanted | {"sampling": {"num_unmasking_steps": steps}})
        run = client.create_run(RunCreate(config=config))
        list(client.watch(run.id))
        runs.append(client.get_run(run.id))
    return runs


@pytest.fixture
def task(client: StudioClient, trained: Run) -> LabelTask:
    """Twelve pairs that nobody has voted on."""
    return label_task(client, trained)


def vote_all(client: StudioClient, link: NewRater, choice: Choice, most: int = 100) -> int:
    """Votes alike on all that a rater is shown; how many votes that were."""
    count = 0
    while count < most and (pairs := client.next_pairs(link.token, count=1).data):
        wanted = VotePut(pair_id=pairs[0].pair_id, choice=choice, latency_ms=900)
        client.put_vote(link.token, uuid4(), wanted)
        count += 1
    return count


def open_on(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_selector(".u-part:not([aria-busy])")


def test_a_run_is_sent_to_people_and_a_person_votes_by_the_link(
    open_page: OpenPage, client: StudioClient, trained: Run
) -> None:
    page = open_page(f"/run?id={trained.id}")
    page.get_by_role("link", name="Send to people").click()
    expect(page.get_by_label("Pictures of")).to_have_value(str(trained.id))
    expect(page.get_by_role("textbox", name="Guideline")).to_have_value(
        "Choose the picture that shows what the prompt says: the right things, their number, colours and places. "
        "Where both do, choose the one that looks better. Where neither comes near, press Both bad."
    )
    page.get_by_role("textbox", name="Name").fill("which is clearer")
    page.get_by_label("Pairs at most").fill("4")
    page.get_by_label("Votes a pair").fill("1")
    expect(page.get_by_text("At most 4 votes")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/label?id=*")
    expect(page.get_by_role("heading", name="which is clearer")).to_be_visible()
    expect(page.get_by_text("Nobody votes yet")).to_be_visible()
    page.get_by_label("Name of the rater").fill("Ann")
    page.keyboard.press("Enter")
    field = page.get_by_role("dialog").get_by_label("Link")
    expect(field).to_be_visible()
    link = field.input_value()
    assert "/rate#rater_" in link
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.locator("body")).not_to_contain_text(link)
    other = RatingPage(page.context.new_page())
    other.page.goto(link)
    other.wait_for_pair()
    other.press("ArrowLeft")
    expect(page.get_by_text("1 of 4 votes")).to_be_visible()
    row = page.get_by_role("row", name="Ann")
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    open_on(page, "/")
    waiting = (
        page.get_by_role("region", name="Votes waiting").get_by_role("listitem").filter(has_text="which is clearer")
    )
    expect(waiting).to_contain_text("1 of 4 votes")
    open_on(page, "/label")
    expect(page.get_by_role("row", name="which is clearer")).to_contain_text("1 of 4")


def test_a_comparison_is_sent_to_people_and_equal_pictures_are_no_pairs(
    open_page: OpenPage, client: StudioClient
) -> None:
    wanted = {"kind": "evaluate", "num_prompts": 6, "samples_per_prompt": 1, "base": {"source": "shipped"}}
    config = wanted | {"policy": {"num_threads": 1}, "sampling": {"num_unmasking_steps": 2}}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    list(client.watch(run.id))
    page = open_page(f"/compare?id={run.id}")
    page.get_by_role("link", name="Send to people").click()
    policies = page.get_by_label("Policies")
    expect(policies.locator("option")).to_have_text(["base against policy"])
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("or its pictures are equal")


def test_pairs_that_cannot_be_made_are_refused_in_the_form_with_the_cure(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/label?run={trained.id}")
    page.get_by_label("Pairs", exact=True).select_option("checkpoints")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("train with the probe on")
    assert "/label?run=" in page.url


def test_a_link_is_withdrawn_after_a_question(open_page: OpenPage, client: StudioClient, task: LabelTask) -> None:
    rater(client, task, "Ben")
    page = open_page(f"/label?id={task.id}")
    page.get_by_role("button", name="Withdraw").click()
    assert not client.list_raters(task.id).data[0].is_revoked
    page.get_by_role("dialog").get_by_role("button", name="Withdraw the link").click()
    expect(page.get_by_role("row", name="Ben")).to_contain_text("link withdrawn")
    assert client.list_raters(task.id).data[0].is_revoked


def test_a_guideline_changed_by_two_is_a_conflict_that_names_both_texts(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    page = open_page(f"/label?id={task.id}")
    box, save = page.get_by_label("Guideline").last, page.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_disabled()
    box.fill("Look at the shapes.")
    client.edit_label_task(task.id, LabelTaskEdit(guideline="Look at the numbers."))
    save.click()
    conflict = page.get_by_role("alert")
    expect(conflict).to_contain_text("Look at the numbers.")
    expect(box).to_have_value("Look at the shapes.")
    conflict.get_by_role("button", name="Save mine as the next version").click()
    expect(page.get_by_text("version 3")).to_be_visible()
    found = client.get_label_task(task.id)
    assert (found.guideline, found.guideline_version) == ("Look at the shapes.", 3)


def test_a_task_is_closed_and_opened_again(open_page: OpenPage, client: StudioClient, task: LabelTask) -> None:
    page = open_page(f"/label?id={task.id}")
    page.get_by_role("button", name="Close the task").click()
    expect(page.locator(".u-status")).to_have_text("closed")
    assert client.get_label_task(task.id).status == "closed"
    page.get_by_role("button", name="Open again").click()
    expect(page.locator(".u-status")).to_have_text("open")


def test_results_tell_people_from_programs_and_what_leaving_a_rater_out_changes(
    open_page: OpenPage, client: StudioClient, two_runs: list[Run]
) -> None:
    first, second = two_runs
    source = {"kind": "runs", "run_id": str(first.id), "other_run_id": str(second.id)}
    task = label_task(client, first, source=source, votes_per_pair=5)
    ann, ben = rater(client, task, "Ann"), rater(client, task, "Ben")
    rule = rater(client, task, "a rule", is_simulated=True)
    page = open_page(f"/label-results?id={task.id}")
    expect(page.get_by_text("No votes yet")).to_be_visible()
    num_pairs = task.num_pairs
    assert [vote_all(client, link, choice) for link, choice in ((ann, Choice.LEFT), (ben, Choice.TIE))] == [
        num_pairs
    ] * 2
    vote_all(client, rule, Choice.RIGHT)
    expect(page.get_by_text("Few votes yet")).to_be_visible()
    expect(page.get_by_role("button", name="People")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text(f"Few votes yet: {2 * num_pairs} by 2 raters")).to_be_visible()
    expect(page.get_by_role("region", name="Raters", exact=True)).not_to_contain_text("a rule")
    programs = page.get_by_role("region", name="Simulated raters: programs, no people")
    expect(programs.get_by_role("row", name="a rule")).to_contain_text("simulated")
    row = page.get_by_role("row", name="Ann")
    expect(row).to_contain_text(f"{num_pairs} of {num_pairs}, 100 %")
    figures = client.get_label_results(task.id, exclude_rater=[rule.id]).figures
    shown = f"{figures.win_rates[0].num_wins} wins"
    expect(page.get_by_role("region", name="Win rate")).to_contain_text(shown.replace("1 wins", "1 win"))
    exported = page.request.get(str(page.get_by_role("link", name="CSV").get_attribute("href"))).text()
    whose = [line["is_simulated"] for line in csv.DictReader(io.StringIO(exported))]
    assert whose == ["false"] * (2 * num_pairs), "what is exported is what is shown"
    page.get_by_label("Ben counts").uncheck()
    expect(page.get_by_text(f"Few votes yet: {num_pairs} by 1 rater ")).to_be_visible()
    expect(page.get_by_role("region", name="Win rate")).to_contain_text(f"of {3 * num_pairs} votes")
    assert [each.is_excluded for each in client.list_raters(task.id).data] == [False, True, False]
    page.get_by_role("button", name="Simulated raters").click()
    expect(page.get_by_text("These are votes of simulated raters")).to_be_visible()
    page.get_by_role("button", name="Both together").click()
    expect(page.get_by_text("People and programs together")).to_be_visible()


def test_votes_are_exported_and_frozen_from_their_results(
    open_page: OpenPage, client: StudioClient, task: LabelTask
) -> None:
    vote_all(client, rater(client, task), Choice.LEFT)
    page = open_page(f"/label-results?id={task.id}")
    for name, begins in (("Pick-a-Pic (Parquet)", b"PAR1"), ("HPDv2 (zip)", b"PK"), ("CSV", b"prompt,")):
        answer = page.request.get(str(page.get_by_role("link", name=name).get_attribute("href")))
        assert answer.ok, (name, answer.text())
        assert answer.body().startswith(begins), name
    page.get_by_role("button", name="Freeze as pair set").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{len(votes(client, task))} votes")
    made = client.list_pair_sets().data[0]
    assert made.source["label_task_id"] == str(task.id)
    page.get_by_role("link", name="Train a reward model on it").click()
    expect(page.locator("#launch-side pre")).to_contain_text(f"source: {made.sha256}")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_is_wider_than_the_screen(
    open_page: OpenPage, client: StudioClient, trained: Run, width: int, scheme: str
) -> None:
    task = label_task(client, trained, name="a name that is rather long for a task on a phone " * 2)
    vote_all(client, rater(client, task, "somebody with a long name, from far away"), Choice.BOTH_BAD, most=6)
    for path in ("/label", f"/label?run={trained.id}", f"/label?id={task.id}", f"/label-results?id={task.id}"):
        page = open_page(path, width=width, height=844, scheme=scheme)
        expect(page.locator(".u-card").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_task_that_does_not_exist_is_told_with_the_cure(open_page: OpenPage) -> None:
    nowhere = "00000000-0000-7000-8000-000000000000"
    for path in (f"/label?id={nowhere}", f"/label-results?id={nowhere}"):
        expect(open_page(path).get_by_role("alert")).to_contain_text("there is no label task")
    expect(open_page("/label-results").get_by_text("Results of which label task?")).to_be_visible()
