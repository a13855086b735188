"""The web process answers before Gradio is imported, and every page has our head."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ui.app import STATIC, mount_pages


@pytest.fixture
def starting() -> TestClient:
    """A studio whose pages are not built: the client enters no lifespan."""
    app = FastAPI()

    @app.get("/api/v1/version")
    def version() -> str:
        return "1"

    return TestClient(mount_pages(app))


def test_while_the_pages_are_built_a_waiting_page_looks_again_by_itself(starting: TestClient) -> None:
    answer = starting.get("/run?id=1")
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_while_the_pages_are_built_the_api_answers(starting: TestClient) -> None:
    assert starting.get("/api/v1/version").json() == "1"


def test_while_the_pages_are_built_what_is_no_page_is_told_to_come_back(starting: TestClient) -> None:
    for path in ("/assets/index.js", "/gradio_api/queue/join"):
        answer = starting.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_pages_that_cannot_be_built_are_said_to(starting: TestClient) -> None:
    starting.app.state.pages.failure = "build"  # type: ignore[attr-defined]
    assert "could not start" in starting.get("/").text


def test_a_stop_does_not_wait_for_the_pages_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    is_begun, may_end = threading.Event(), threading.Event()

    def build() -> FastAPI:
        is_begun.set()
        may_end.wait(60)
        return FastAPI()

    monkeypatch.setattr("ui.app.build_pages", build)
    try:
        with TestClient(mount_pages(FastAPI())):
            assert is_begun.wait(30)
        (builder,) = (thread for thread in threading.enumerate() if thread.name == "pages")
        assert builder.daemon, "and so it does not keep the process alive either"
    finally:
        may_end.set()


def test_pages_that_are_built_take_over_and_are_closed_with_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[str] = []

    @asynccontextmanager
    async def lifespan(site: FastAPI) -> AsyncIterator[None]:
        states.append("open")
        yield
        states.append("closed")

    monkeypatch.setattr("ui.app.build_pages", lambda: FastAPI(lifespan=lifespan, title="the pages"))
    with TestClient(mount_pages(FastAPI(openapi_url=None))) as client:
        deadline = time.monotonic() + 30
        while client.get("/openapi.json").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert client.get("/openapi.json").json()["info"]["title"] == "the pages"
    assert states == ["open", "closed"]


def test_theme_and_client_modules_are_served(starting: TestClient) -> None:
    assert "--u-accent" in starting.get("/studio/theme.css").text
    module = starting.get("/studio/shell.js")
    assert module.headers["content-type"].startswith("text/javascript")


def test_no_client_file_is_longer_than_300_lines_or_names_the_world_outside() -> None:
    files = [path for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".html")]
    assert len(files) > 15
    for path in files:
        text = path.read_text()
        assert text.count("\n") <= 300, path.name
        outside = text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in outside, path.name
        assert "https://" not in outside, path.name


def test_the_web_process_starts_without_torch_and_gradio() -> None:
    script = "import sys, ui.app, backend.app; assert not {'torch', 'gradio', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.slow
def test_every_page_has_our_head_and_none_of_gradios_cards() -> None:
    script = """
from fastapi.testclient import TestClient
from ui.app import build_pages
client = TestClient(build_pages())
for path in ("/", "/launch", "/runs", "/run?id=1", "/groups", "/sample"):
    answer = client.get(path, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200, path
    head = answer.text.split("</head>")[0]
    assert "/studio/theme.css" in head and "modulepreload" in head, path
    assert "og:" not in head and "twitter:" not in head, path
    assert answer.text.split("<body")[1].split('class="u-boot"')[0].count("<") == 1, path
    assert int(answer.headers["content-length"]) == len(answer.content), path
missing = client.get("/nowhere", headers={"accept": "text/html"})
assert missing.status_code == 404 and "There is no such page" in missing.text
assert client.get("/nowhere", headers={"accept": "*/*"}).json() == {"detail": "Not Found"}
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=240)
