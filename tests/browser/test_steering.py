"""A run's page while the run is steered, and while the web process under it dies: it goes on without a reload."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import PATIENCE_MS, SMALL_TRAINING, OpenPage
from tests.browser.page_objects import RunPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def training(client: StudioClient) -> Iterator[Run]:
    """A run that trains until the test is over."""
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(SMALL_TRAINING)))
    yield run
    client.cancel_run(run.id)


def watched(open_page: OpenPage, run: Run) -> RunPage:
    page = RunPage(open_page(f"/run?id={run.id}"))
    page.expect_status("running")
    page.wait_for_step(1)
    page.page.evaluate("window.isSamePage = true")
    return page


def test_pause_and_resume_are_pressed_on_the_page(open_page: OpenPage, client: StudioClient, training: Run) -> None:
    run = watched(open_page, training)
    run.press("Pause")
    run.expect_status("paused")
    step = run.step()
    assert client.get_run(training.id).step == step
    expect(run.page.get_by_role("button", name="Pause")).to_have_count(0)
    expect(run.page.locator('section[aria-label="Checkpoints"]')).to_contain_text(f"step {step}")
    run.press("Resume")
    run.wait_for_step(step + 1)
    run.expect_status("running")
    expect(run.page.locator('section[aria-label="Events"]')).to_contain_text(
        f"Resumed at step {step}, state hash equal"
    )
    assert run.page.evaluate("window.isSamePage"), "and the page was not loaded again"


def test_a_page_goes_on_by_itself_when_the_web_process_was_killed_and_restarted(
    open_page: OpenPage, training: Run, web_process: Callable[[], psutil.Process]
) -> None:
    run = watched(open_page, training)
    victim = web_process()
    step = run.step()
    victim.kill()
    expect(run.page.get_by_text("connection lost, trying again")).to_be_visible()
    expect(run.page.get_by_text("connection lost, trying again")).to_have_count(0, timeout=2 * PATIENCE_MS)
    run.wait_for_step(step + 2)
    assert web_process().pid != victim.pid
    assert run.page.evaluate("window.isSamePage"), "and the page was not loaded again"
