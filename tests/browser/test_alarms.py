"""Alarms: each leads to the chart and the samples that show it, and one click asks people, on any page, once."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import SMALL_TRAINING, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Any distance from the start is an alarm here, and one that stands: a policy that learns does not come back to it.
EAGER = {"window": 2, "kl_ceiling": 1e-9}
NEVER = 10**6


@pytest.fixture(scope="module")
def alarmed(client: StudioClient) -> Run:
    """A training run that is paused some steps after its first alarm about the distance from the start."""
    wanted = SMALL_TRAINING | {"name": "alarmed", "alarms": EAGER}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(wanted)))
    raised = NEVER
    for event in client.watch(run.id):
        if event.body.type == "alarm" and event.body.code == "far_from_reference":
            raised = event.body.step
        if event.body.type == "step" and event.body.step == raised + 3:
            client.pause_run(run.id)
        if event.body.type == "status" and event.body.status == "paused":
            break
    return client.get_run(run.id)


def alarm_in(page: Page, region: str) -> Locator:
    return (
        page.get_by_role("region", name=region)
        .get_by_role("listitem")
        .filter(has_text="The KL from the policy that the run began with")
        .first
    )


def tasks_of(client: StudioClient, run: Run) -> list[str]:
    return [task.name for task in client.list_label_tasks(limit=100).data if task.source.run_id == run.id]


def test_one_click_asks_people_once_whatever_is_clicked_twice(
    open_page: OpenPage, client: StudioClient, alarmed: Run
) -> None:
    page = open_page(f"/run?id={alarmed.id}")
    alarm = alarm_in(page, "Events")
    button = alarm.get_by_role("button", name="Send 50 samples to people")
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    asked = alarm.get_by_role("link", name=re.compile(r"^Asked: \d+ pairs?, 3 votes each"))
    expect(asked).to_be_focused()
    assert len(tasks_of(client, alarmed)) == 1
    page.reload()
    alarm_in(page, "Events").get_by_role("button", name="Send 50 samples to people").click()
    alarm_in(page, "Events").get_by_role("button", name="Copy a rater's link").click()
    expect(page.get_by_role("dialog").get_by_label("Link")).to_have_value(re.compile("/rate#rater_"))
    page.keyboard.press("Escape")
    assert len(tasks_of(client, alarmed)) == 1
    asked.click()
    page.wait_for_url("**/label?id=*")
    expect(page.get_by_role("heading", name=tasks_of(client, alarmed)[0])).to_be_visible()
    expect(page.get_by_role("row", name="Rater 1")).to_be_visible()
    page.get_by_role("button", name="Copy a rater's link").click()
    expect(page.get_by_role("dialog", name="The link for Rater 2")).to_be_visible()


def test_an_alarm_leads_to_its_chart_and_its_samples_also_from_home(open_page: OpenPage, alarmed: Run) -> None:
    page = open_page("/")
    alarm_in(page, "Alarms").get_by_role("link", name="chart").click()
    page.wait_for_url(f"**/run?id={alarmed.id}#chart-kl")
    expect(page.locator("#chart-kl svg")).to_be_in_viewport()
    alarm_in(page, "Events").get_by_role("link", name=re.compile("^samples of step")).click()
    page.wait_for_url(f"**/groups?id={alarmed.id}&step=*")
    expect(page.locator(".u-tile").first).to_be_visible()


def test_home_has_an_alarm_that_stands_however_long_ago_it_was_told_and_each_once(
    open_page: OpenPage, client: StudioClient, alarmed: Run
) -> None:
    codes = [event.body.code for event in client.list_alarms(alarmed.id) if event.body.type == "alarm"]
    assert codes.count("far_from_reference") == 1
    page = open_page("/")
    region = page.get_by_role("region", name="Alarms")
    expect(region.get_by_role("listitem").filter(has_text="The KL from the policy")).to_have_count(1)
    expect(region.get_by_role("listitem").filter(has=page.get_by_role("link", name="alarmed"))).to_have_count(
        len(codes)
    )


def test_what_goes_wrong_stands_beside_the_button_which_can_be_pressed_again(
    open_page: OpenPage, client: StudioClient, alarmed: Run
) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"title": "Away", "detail": "come back later", "status": 503})

    page = open_page("/")
    page.route("**/label-tasks", refuse, times=1)
    alarm = alarm_in(page, "Alarms")
    alarm.get_by_role("button", name="Send 50 samples to people").click()
    expect(alarm.get_by_role("alert")).to_contain_text("come back later")
    alarm.get_by_role("button", name="Send 50 samples to people").click()
    expect(alarm.get_by_role("link", name=re.compile("^Asked"))).to_be_visible()


def test_a_runs_page_asks_without_an_alarm_too_and_nothing_is_cut(
    open_page: OpenPage, client: StudioClient, alarmed: Run
) -> None:
    page = open_page(f"/run?id={alarmed.id}", width=390, height=844, scheme="dark")
    before = len(tasks_of(client, alarmed))
    page.get_by_role("button", name="Send 50 samples", exact=True).dblclick()
    expect(page.get_by_role("link", name=re.compile("^Asked")).first).to_be_visible()
    assert len(tasks_of(client, alarmed)) == before + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
