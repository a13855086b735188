"""What the browser tests stand on: one real studio a session, headless Chromium, and pages that watch themselves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from backend.client import StudioClient
from backend.embedded.processes import Ledger
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate, RunStatus
from tests.browser.chromium import CHROMIUM_FLAGS, HOW_TO_INSTALL, find_chromium

SMALL_TRAINING = {
    "kind": "train",
    "name": "small training",
    "num_steps": 400,
    "policy": {"num_threads": 1},
    "rewards": [{"name": "strict"}, {"name": "dense", "weight": 0.5}],
    "rollout": {"num_prompts": 3, "group_size": 4},
    "grpo": {"transition": "candidate_2", "ratio": "mean"},
    "sampling": {"num_unmasking_steps": 4},
    "evaluation_sampling": {"num_unmasking_steps": 4},
    "probe": {"num_prompts": 0},
}
# Two cores are shared with a worker that trains: what is instant on a quiet machine may take a while.
PATIENCE_MS = 45_000
expect.set_options(timeout=PATIENCE_MS)
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The empty studio comes first: it is empty only until another test has a run made."""
    items.sort(key=lambda item: item.path.name != "test_empty_studio.py")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def _up() -> Iterator[tuple[str, Path]]:
    """A studio of this session's own, with Postgres, Valkey, web and worker: its address and its data folder."""
    folder, port = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp" if os.path.isdir("/tmp") else None)), free_port()
    environment = {key: value for key, value in os.environ.items() if not key.endswith(("_URL", "DATA_DIR"))}
    command = [sys.executable, "-m", "backend.cli", "up", "--port", str(port), "--data-dir", str(folder / "data")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for_pages(address, process, folder / "log")
            yield address, folder / "data"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def studio(_up: tuple[str, Path]) -> str:
    """The studio's address."""
    return _up[0]


@pytest.fixture
def web_process(_up: tuple[str, Path]) -> Callable[[], psutil.Process]:
    """Finds the present web process of the studio."""
    ledger = Ledger(_up[1] / "processes.json")
    return lambda: next(process for entry, process in ledger.leftovers() if entry.name == "web")


def _wait_for_pages(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if "gradio" in httpx.get(address, trust_env=False).text:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"no pages at {address} within 240 s:\n{log.read_text()}")


@pytest.fixture(scope="session")
def client(studio: str) -> Iterator[StudioClient]:
    """The studio's typed client."""
    with StudioClient(studio) as client:
        yield client


@pytest.fixture(scope="session")
def trained(client: StudioClient) -> Run:
    """A small training run that has made some steps and was cancelled."""
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(SMALL_TRAINING)))
    for event in client.watch(run.id):
        if event.body.type == "step" and event.body.step == 3:
            client.cancel_run(run.id)
    return client.get_run(run.id)


def performed(client: StudioClient, values: dict[str, Any]) -> Run:
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(values)))
    list(client.watch(run.id))
    ended = client.get_run(run.id)
    assert ended.status is RunStatus.SUCCEEDED, ended.error
    return ended


@pytest.fixture(scope="session")
def many(client: StudioClient) -> Run:
    """Three policies, of which the tuned one has made its first steps; replays of the first prompts alone."""
    trained = performed(
        client, SMALL_TRAINING | {"name": "to compare", "num_steps": 3, "optimizer": {"learning_rate": 1e-3}}
    )
    values = {
        "kind": "evaluate",
        "name": "three policies",
        "policy": {"source": f"run:{trained.id}", "num_threads": 1},
        "base": {"source": "shipped"},
        "policies": [{"label": "again", "source": "shipped"}],
        "num_prompts": 12,
        "num_replayed": 6,
        "sampling": {"num_unmasking_steps": 4},
    }
    return performed(client, values)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium of the system. Skipped where there is none, unless CI says that there must be one."""
    chromium = find_chromium()
    if chromium is None:
        pytest.fail(HOW_TO_INSTALL) if os.environ.get("CI") else pytest.skip(HOW_TO_INSTALL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextmanager
def pages_of(browser: Browser, address: str) -> Iterator[OpenPage]:
    """Opens pages of a studio, each in a browser that knows nothing yet.

    Afterwards none of them may have failed in script or asked the world outside.
    """
    failures: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: failures.append(f"{page.url}: {error}"))
        page.on("request", lambda request: failures.extend(_outside(request.url)))

    def open_page(path: str, *, width: int = 1440, height: int = 900, scheme: str = "light") -> Page:
        size = {"width": width, "height": height}
        context = browser.new_context(base_url=address, viewport=size, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(path)
        page.wait_for_selector(".u-part:not([aria-busy])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not failures, failures


@pytest.fixture
def open_page(browser: Browser, studio: str) -> Iterator[OpenPage]:
    """Opens pages of the session's studio: see `pages_of`."""
    with pages_of(browser, studio) as opens:
        yield opens


def _outside(url: str) -> list[str]:
    parts = urlsplit(url)
    is_here = parts.scheme in ("data", "blob") or parts.hostname in ("127.0.0.1", "localhost")
    return [] if is_here else [f"asked the world outside: {url}"]
