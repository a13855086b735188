"""The access token: what is shut without it, route by route, and what is open; no path leads around it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker
from starlette.websockets import WebSocketDisconnect

from backend.access.open_paths import SESSION, is_open
from backend.app import METHODS
from backend.settings import Settings
from tests.backend.shut_studio import RIGHT, TOKEN, UUID, asked, loaded_by, paths_of, shut_studio
from ui.app import STATIC
from ui.pages.rating import rating_page
from ui.pages.sign_in import sign_in_page

Sessions = sessionmaker[Session]

RATING = "/api/v1/rating"
DOCUMENTS = {"/livez", "/readyz", "/rate", "/sign-in"}


@pytest.fixture
def shut(settings: Settings, sessions: Sessions, broker: Callable[[], list[str]]) -> Iterator[FastAPI]:
    app = shut_studio(settings)
    yield app
    app.state.engine.dispose()


@pytest.fixture
def door(shut: FastAPI) -> TestClient:
    """Somebody before the door."""
    return TestClient(shut, base_url="http://testserver", follow_redirects=False)


def open_files() -> set[str]:
    """What the two open pages load."""
    pages = (rating_page(), sign_in_page())
    return {path for page in pages for path in loaded_by(bytes(page.body).decode())}


def test_every_route_is_shut_without_the_token_but_for_the_open_ones(shut: FastAPI, door: TestClient) -> None:
    paths = {*paths_of(shut.routes), *(f"/studio/{file.name}" for file in STATIC.iterdir() if file.is_file())}
    assert len(paths) > 150, "the walk finds the API, the health routes, the pages' place and the static files"
    assert {"/metrics", "/api/v1/openapi.json", "/", f"/api/v1/runs/{UUID}/events/stream", f"{RATING}/next"} <= paths
    answered = {path: {door.request(method, path).status_code for method in METHODS} for path in paths}
    opened = {path for path, statuses in answered.items() if statuses != {401}}
    of_raters = {path for path in paths if path == RATING or path.startswith(f"{RATING}/")}
    assert opened == DOCUMENTS | open_files() | of_raters | {SESSION}
    for path in DOCUMENTS | open_files():
        others = {door.request(method, path).status_code for method in METHODS if method not in ("GET", "HEAD")}
        assert others == {401}, f"{path} is open for reading alone"


@pytest.mark.slow
def test_every_route_of_the_pages_is_shut_too() -> None:
    script = f"""
from backend.settings import Settings
from fastapi.testclient import TestClient
from tests.backend.shut_studio import RIGHT, paths_of, shut_studio
from ui.app import build_pages
app = shut_studio(Settings(database_url=None, allowed_hosts=("testserver",)))
site = app.state.pages.app = build_pages()
door = TestClient(app, base_url="http://testserver", follow_redirects=False)
paths = [path.replace("//", "/") for path in paths_of(site.routes)]
assert len(paths) > 40 and "/gradio_api/queue/join" in paths, paths
for method in {METHODS!r}:
    opened = [path for path in paths if path != "/rate" and door.request(method, path).status_code != 401]
    assert opened == [], (method, opened)
page = door.get("/runs", headers=RIGHT)
assert page.status_code == 200 and '<meta name="unmask-opened-by" content="token">' in page.text
"""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=240, cwd=root)


def test_the_open_files_exist() -> None:
    assert len(open_files()) > 12
    files = {path for path in open_files() if path != "/studio/theme.css"}
    assert [path for path in files if not (STATIC / Path(path).name).is_file()] == []


@pytest.mark.parametrize(
    "path",
    [
        "/rate/",
        "/rate/../runs",
        "//rate",
        "/rate%2f..%2fruns",
        "/RATE",
        "/sign-in/../runs",
        "/livez/..",
        "/livez%00",
        "/studio/rate.js/../run.js",
        "/studio/rate.js%2f..%2frun.js",
        "/studio//rate.js",
        "/studio/./rate.js",
        "/studio/run.js",
        "/studio/rate.js/",
        "/studio/rate.js;x",
        f"{RATING}/../runs",
        f"{RATING}/%2e%2e/runs",
        f"{RATING}%2f..%2fruns",
        f"{RATING}//runs",
        f"{RATING}/..\\runs",
        f"{RATING}/",
        f"{RATING}s",
        f"{RATING}/next/../../runs",
        f"{RATING}/a%0a",
        f"{SESSION}/",
        f"{SESSION}/../runs",
        "/api/v1//session",
    ],
)
def test_no_path_leads_around_the_door(door: TestClient, path: str) -> None:
    assert not is_open("GET", unquote(path))
    # A client would tidy the path up before it sends it.
    assert {asked(door.app, method, unquote(path), path.encode()) for method in METHODS} == {401}


@pytest.mark.parametrize("path", ["/", "/gradio_api/queue", "/livez", "/rate", RATING, SESSION])
def test_no_websocket_is_open_without_the_token(door: TestClient, path: str) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, door.websocket_connect(path):
        pass
    assert refused.value.code == 1008


def test_a_program_is_told_what_to_send_and_a_person_is_led_to_the_form(door: TestClient) -> None:
    refused = door.get("/api/v1/runs?limit=3", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["content-type"] == "application/problem+json"
    assert "UNMASK_TOKEN" in refused.json()["detail"]
    led = door.get("/run?id=a%26b&x=1", headers={"Accept": "text/html,*/*"})
    assert (led.status_code, led.headers["cache-control"]) == (303, "no-store")
    assert led.headers["location"] == "/sign-in?next=%2Frun%3Fid%3Da%2526b%26x%3D1"
    assert door.get("/run", headers={"Accept": "*/*"}).status_code == 401
    assert door.post("/run", headers={"Accept": "text/html"}).status_code == 401


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "//"])
def test_a_path_that_could_be_another_host_is_no_place_to_come_back_to(door: TestClient, path: str) -> None:
    led = door.request("GET", f"http://testserver{path}", headers={"Accept": "text/html"})
    assert led.status_code == 303
    assert "evil" not in unquote(led.headers["location"])


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "Bearer   "])
def test_the_token_opens_everything(door: TestClient, scheme: str) -> None:
    right = {"Authorization": scheme + TOKEN}
    for path in ("/api/v1/runs", "/metrics", "/api/v1/openapi.json", "/studio/run.js"):
        answer = door.get(path, headers=right)
        assert (path, answer.status_code) == (path, 200)
        assert "public" not in answer.headers["cache-control"]
    assert door.post("/api/v1/runs", headers=right, json={"config": {"kind": "train"}}).status_code == 201


@pytest.mark.parametrize("shown", [f"Basic {TOKEN}", TOKEN, "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN} ä"])
def test_nothing_else_in_the_header_opens(door: TestClient, shown: str) -> None:
    assert door.get("/api/v1/runs", headers={b"Authorization": shown.encode()}).status_code == 401


def test_a_raters_token_opens_the_raters_door_and_nothing_else(door: TestClient) -> None:
    rater = {"Authorization": "Bearer rater_not-a-known-one"}
    assert door.get(RATING, headers=rater).status_code == 403, "the rater's API itself says that the link opens nothing"
    for _ in range(20):
        assert door.get("/api/v1/runs", headers=rater).status_code == 401, "and it is nobody's guess of the other token"


def test_a_shared_cache_may_keep_nothing_of_what_is_shut(shut: FastAPI) -> None:
    @shut.get("/api/v1/kept-by-all")
    def keep() -> Any:
        return Response(headers={"Cache-Control": "public, max-age=31536000, immutable"})

    shut.router.routes.insert(0, shut.router.routes.pop())
    answer = TestClient(shut, base_url="http://testserver").get("/api/v1/kept-by-all", headers=RIGHT)
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_without_an_access_token_all_is_as_open_as_it_was(api: TestClient) -> None:
    assert api.get("/api/v1/runs").status_code == 200
    assert api.get(SESSION).json() == {"is_required": False, "is_signed_in": False, "expires_at": None}
    refused = api.post(SESSION, json={"token": "whatever"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
