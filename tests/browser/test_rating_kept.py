"""What a rater's browser keeps of the page: it opens with the studio dead, and the next version takes its place."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from ui import app as ui_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_NAMES = "caches.keys().then(all => all.filter(name => name.startsWith('unmask-rate-page-')))"


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The studio's files in a folder of the test's own, where they can be changed."""
    shutil.copytree(ui_app.STATIC, tmp_path / "static")
    monkeypatch.setattr(ui_app, "STATIC", tmp_path / "static")
    return tmp_path / "static"


@contextmanager
def served(port: int) -> Iterator[None]:
    """The pages without API and database, until the end of the block: then nobody answers at that address."""
    app = ui_app.mount_pages(FastAPI())
    # The other pages take seconds to build, and none of them is asked for.
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def page(browser: Browser, port: int) -> Iterator[Page]:
    """A page of a browser that has seen nothing yet."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{port}")
    yield context.new_page()
    context.close()


def wait_for_versions(page: Page, *, other_than: list[str]) -> list[str]:
    """The names of the kept versions, once there is one alone and another than before."""
    for _ in range(400):
        names: list[str] = page.evaluate(_NAMES)
        if len(names) == 1 and names != other_than:
            return names
        page.wait_for_timeout(50)
    raise AssertionError(f"no new version: {page.evaluate(_NAMES)}")


def test_it_opens_with_the_studio_dead_and_the_next_version_replaces_what_was_kept(
    static: Path, page: Page, port: int
) -> None:
    asked: list[str] = []
    with served(port):
        page.goto("/rate#rater_somebody")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        first = wait_for_versions(page, other_than=[])
    page.on("requestfailed", lambda request: asked.append(request.url))
    page.reload()
    expect(page.get_by_text("No connection", exact=True)).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.u-rate')).display") == "flex", "its style is there"
    assert not [url for url in asked if "/studio/" in url and "rate_worker" not in url]
    view = static / "rate_view.js"
    view.write_text(view.read_text().replace('"No connection"', '"No connection, says the new version"'))
    page.reload()
    expect(page.get_by_text("No connection", exact=True)).to_be_visible()
    with served(port):
        page.reload()
        second = wait_for_versions(page, other_than=first)
    page.reload()
    expect(page.get_by_text("No connection, says the new version")).to_be_visible()
    assert second != first


def test_an_online_load_shows_the_new_version_at_once(static: Path, page: Page, port: int) -> None:
    with served(port):
        page.goto("/rate#rater_somebody")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        wait_for_versions(page, other_than=[])
        page.reload()
        view = static / "rate_view.js"
        view.write_text(view.read_text().replace('"No connection"', '"The new version says so"'))
        page.reload()
        expect(page.get_by_text("The new version says so")).to_be_visible()
