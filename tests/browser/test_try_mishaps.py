"""Try when things go wrong: nobody works, the job is killed, the page is reloaded, prompts hold anything at all."""

from __future__ import annotations

import csv
import io
import signal
import time
from uuid import UUID

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import RunCreate, RunStatus
from tests.browser.conftest import SMALL_TRAINING, OpenPage
from tests.browser.test_try import fill

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

# A job that is waited for brings torch first, and once more where it was killed.
LONG_MS = 290_000
FOREIGN = (
    'a "red" circle <b>& more</b> it\'s',
    "</script><script>document.title='taken'</script>",
    '=HYPERLINK("http://x","y")',
    "ein Kreis 🔴 und ein Stern",
    "دائرة حمراء بجانب نجمة زرقاء",
    "an \u202eoverride that must turn nothing else",
    "x" * 1000,
)


def kill_job(run_id: str) -> None:
    """Kills the job of a run as the kernel does when memory runs out."""
    commands = {process: " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])}
    jobs = [process for process, command in commands.items() if "worker.jobs" in command and run_id in command]
    assert jobs, "there is a job to kill"
    for job in jobs:
        job.send_signal(signal.SIGKILL)


def test_it_says_what_it_waits_for(open_page: OpenPage, client: StudioClient) -> None:
    training = client.create_run(RunCreate(config=run_config_adapter.validate_python(SMALL_TRAINING)))
    while client.get_run(training.id).status is not RunStatus.RUNNING:
        time.sleep(0.2)
    page = open_page("/try")
    fill(page, "shipped", prompts="a red star")
    page.get_by_role("button", name="Sample", exact=True).click()
    note = page.get_by_role("status", name="What it waits for")
    expect(note).to_contain_text("The worker has another run in hand")
    expect(note.get_by_role("link")).to_have_attribute("href", f"/run?id={training.id}")
    # The same run on its own page; there the studio has lost its worker.
    run_id = page.url.split("run=")[1]
    its_run = open_page("/runs")
    its_run.route("**/api/v1/workers", lambda route: route.fulfill(json={"data": [], "has_more": False}))
    its_run.goto(f"/run?id={run_id}")
    expect(its_run.get_by_role("status", name="What it waits for")).to_contain_text("No worker has been heard from")
    client.cancel_run(training.id)
    expect(page.locator(".u-try-pictures img")).to_have_count(2, timeout=LONG_MS)
    expect(note).to_have_count(0)


def test_a_killed_job_and_a_reload_cost_no_picture(open_page: OpenPage, client: StudioClient) -> None:
    page = open_page("/try")
    fill(page, "shipped", prompts="\n".join(f"a red star number {place}" for place in range(40)))
    page.get_by_label("Unmasking steps").fill("16")
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".u-try-pictures img").first).to_be_visible(timeout=LONG_MS)
    run_id = page.url.split("run=")[1]
    kill_job(run_id)
    page.reload()
    other = open_page(f"/try?run={run_id}")
    for each in (page, other):
        expect(each.locator(".u-try-head .u-status")).to_have_text("succeeded", timeout=LONG_MS)
        expect(each.locator(".u-try-pictures img")).to_have_count(80)
        expect(each.get_by_text("80 pictures; click one for its replay")).to_be_visible()
    run = client.get_run(UUID(run_id))
    assert (run.status, run.attempt) == (RunStatus.SUCCEEDED, 2)


def test_prompts_are_shown_as_they_were_written(open_page: OpenPage, studio: str) -> None:
    page = open_page("/try", width=390, height=844)
    fill(page, "shipped", "shipped", prompts="\n".join(FOREIGN))
    page.get_by_role("button", name="Sample", exact=True).click()
    expect(page.locator(".u-try-head .u-status")).to_have_text("succeeded", timeout=LONG_MS)
    assert page.locator(".u-try-prompt").all_text_contents() == list(FOREIGN)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    run_id = page.url.split("run=")[1]
    compared = open_page(f"/compare?id={run_id}", width=390, height=844)
    expect(compared.locator(".u-pair")).to_have_count(2 * len(FOREIGN))
    assert set(compared.locator(".u-pair .prompt").all_text_contents()) == set(FOREIGN)
    assert compared.title() == f"Compare try {FOREIGN[0][:60]} · Unmask Studio"
    assert compared.evaluate("document.documentElement.scrollWidth") <= 390
    table = httpx.get(f"{studio}/api/v1/evaluations/{run_id}/export", trust_env=False, timeout=60).text
    told = {line["prompt"] for line in csv.DictReader(io.StringIO(table, newline=""))}
    assert told == {prompt if not prompt.startswith("=") else f"'{prompt}" for prompt in FOREIGN}


def test_what_is_no_try_leads_on(open_page: OpenPage, client: StudioClient) -> None:
    values = {"kind": "evaluate", "num_prompts": 6, "sampling": {"num_unmasking_steps": 1}}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(values)))
    page = open_page(f"/try?run={run.id}")
    expect(page.get_by_role("alert")).to_contain_text("evaluates captions or a prompt set")
    expect(page.get_by_role("button", name="Sample", exact=True)).to_be_visible()
    client.cancel_run(run.id)
