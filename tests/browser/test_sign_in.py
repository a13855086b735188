"""Sign-in in a browser: the form, where it leads, the way out; a rater's link opens without it and opens no more."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from backend.client import StudioClient
from backend.embedded.processes import Ledger
from backend.embedded.studio import ROOT, web_command
from backend.schemas.run import Run
from tests.browser.conftest import PATIENCE_MS, OpenPage, free_port, pages_of
from tests.browser.label_tasks import label_task, rater, votes
from tests.browser.page_objects import LaunchPage, RatingPage

# Two web processes are started one after the other, which takes minutes where others keep the machine busy.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

TOKEN = "an-access-token-of-the-tests"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
REFUSED = "This is not the access token of this studio."


@pytest.fixture(scope="module")
def shut(_up: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second web process on the session's studio, with the same runs and label tasks; this one asks for the token."""
    port = free_port()
    first = next(process for entry, process in Ledger(_up[1] / "processes.json").leftovers() if entry.name == "web")
    environment = first.environ() | {"UNMASK_ACCESS_TOKEN": TOKEN, "UNMASK_PORT": str(port)}
    log = tmp_path_factory.mktemp("shut") / "log"
    with log.open("w") as file:
        command = web_command("127.0.0.1", port)
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for_pages(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for_pages(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            if "gradio" in httpx.get(address, headers=RIGHT, trust_env=False).text:
                return
        time.sleep(0.2)
    raise AssertionError(f"no pages at {address} within 240 s:\n{log.read_text()}")


@pytest.fixture
def visit(browser: Browser, shut: str) -> Iterator[OpenPage]:
    """Opens addresses of the shut studio, each in a browser that has no session yet."""
    with pages_of(browser, shut) as opens:
        yield opens


def enter(page: Page, token: str = TOKEN) -> None:
    """Types a token and presses Enter."""
    page.get_by_label("Access token").fill(token)
    page.keyboard.press("Enter")


def test_a_page_leads_to_the_form_and_the_form_back_to_the_page(visit: OpenPage, trained: Run) -> None:
    page = visit(f"/run?id={trained.id}#rewards")
    assert "/sign-in?next=" in page.url
    expect(page.get_by_label("Access token")).to_be_focused()
    expect(page.locator(".u-nav")).to_have_count(0)
    assert str(trained.id) not in page.content(), "the form tells nothing of the studio"
    enter(page, f"  {TOKEN}\n")
    page.wait_for_url(f"**/run?id={trained.id}#rewards")
    expect(page.locator(".u-status").first).to_have_text("cancelled")
    page.goto(f"/groups?run={trained.id}&step=1")
    page.wait_for_selector(".u-part img")
    script = "() => [...document.querySelectorAll('.u-part img')].some(each => each.complete && each.naturalWidth > 0)"
    page.wait_for_function(script)
    assert TOKEN not in str(page.context.cookies())
    assert [cookie["httpOnly"] for cookie in page.context.cookies() if "session" in str(cookie["name"])] == [True]


def test_a_wrong_token_is_told_under_the_field_and_typing_takes_it_away(visit: OpenPage) -> None:
    page = visit("/sign-in")
    field = page.get_by_label("Access token")
    enter(page, "not-the-right-one")
    expect(page.get_by_role("alert")).to_have_text(REFUSED)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "")
    page.keyboard.press("x")
    expect(page.get_by_role("alert")).to_have_text("")
    enter(page)
    page.wait_for_url(re.compile(r"//[^/]+/$"))


def test_a_studio_that_is_away_is_told_too_and_the_form_can_be_sent_again(visit: OpenPage) -> None:
    page = visit("/sign-in")
    page.context.set_offline(True)
    enter(page)
    expect(page.get_by_role("alert")).to_contain_text("Is it still running?")
    page.context.set_offline(False)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"//[^/]+/$"))


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example/x",
        "/\\evil.example",
        "/%09/evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil",
        "http://[",
        "/sign-in?next=/sign-in",
        "/.//evil.example",
    ],
)
def test_the_form_leads_to_no_other_place_than_this_studio(visit: OpenPage, shut: str, wanted: str) -> None:
    page = visit(f"/sign-in?next={wanted}")
    enter(page)
    page.wait_for_url(lambda url: "/sign-in" not in url)
    assert page.url.startswith(f"{shut}/"), page.url
    assert page.url in (f"{shut}/", f"{shut}//evil.example"), page.url


def test_signing_out_shuts_the_studio_also_for_the_back_button(visit: OpenPage, trained: Run) -> None:
    page = visit("/sign-in?next=/runs")
    enter(page)
    page.wait_for_url("**/runs")
    expect(page.get_by_role("link", name=trained.name).first).to_be_visible()
    page.get_by_role("button", name="as API call").click()
    expect(page.locator("dialog pre")).to_contain_text('-H "Authorization: Bearer $UNMASK_TOKEN"')
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.go_back()
    page.wait_for_url("**/sign-in?next=%2Fruns")
    expect(page.get_by_text(trained.name)).to_have_count(0)
    assert page.request.get("/api/v1/runs").status == 401


def test_the_form_of_a_launch_works_with_a_session(visit: OpenPage, shut: str) -> None:
    page = visit("/sign-in?next=/launch?recipe=tiny-shapes")
    enter(page)
    page.wait_for_url("**/launch?recipe=tiny-shapes")
    launch = LaunchPage(page)
    launch.enter("name", "behind the door")
    launch.enter("num_steps", "1")
    launch.expect_yaml("behind the door")
    run = launch.launch()
    with StudioClient(shut, token=TOKEN) as client:
        assert client.get_run(run).name == "behind the door"
        client.cancel_run(run)


def test_a_session_that_ends_while_a_page_is_open_is_told_with_the_way_back(visit: OpenPage) -> None:
    page = visit("/sign-in?next=/label")
    enter(page)
    page.wait_for_url("**/label")
    expect(page.get_by_role("button", name="New task").first).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("button", name="New task").first.click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()


def test_a_raters_link_opens_without_signing_in_and_nothing_else_does(
    visit: OpenPage, client: StudioClient, trained: Run
) -> None:
    task = label_task(client, trained)
    page = visit(rater(client, task).url)
    rating = RatingPage(page)
    rating.wait_for_pair()
    rating.press("ArrowLeft")
    rating.expect_sent()
    assert len(votes(client, task)) == 1
    group = client.list_groups(trained.id, step=1).data[0]
    shut_to_raters = [
        "/",
        "/runs",
        "/label",
        "/metrics",
        "/studio/run.js",
        f"/api/v1/samples/{group.samples[0].id}/image",
    ]
    shut_to_raters += ["/api/v1/runs", f"/api/v1/label-tasks/{task.id}", "/api/v1/openapi.json", "/gradio_api/info"]
    script = """async ([path, token]) => {
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      return (await fetch(path, { headers })).status;
    }"""
    token = page.url.partition("#")[2]
    for path in shut_to_raters:
        for shown in (None, token):
            assert page.evaluate(script, [path, shown]) == 401, (path, shown)
    assert page.request.get(shut_to_raters[5], headers=RIGHT).ok, "it is a picture, for who may see it"
    page.goto("/runs")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Fruns$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_form_fits_every_screen_and_the_way_out_too(visit: OpenPage, width: int, scheme: str) -> None:
    page = visit("/sign-in", width=width, scheme=scheme)
    enter(page, "not-the-right-one")
    expect(page.get_by_role("alert")).to_have_text(REFUSED)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    enter(page)
    expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_studio_without_sign_in_shows_no_way_out_and_the_form_leads_on(browser: Browser, studio: str) -> None:
    context = browser.new_context(base_url=studio)
    page = context.new_page()
    page.goto("/sign-in?next=/runs", timeout=PATIENCE_MS)
    page.wait_for_url("**/runs")
    page.wait_for_selector(".u-part:not([aria-busy])")
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    context.close()
