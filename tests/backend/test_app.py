"""The app's outer layers: problems for every error, request ids, foreign hosts and origins, body size, the contract."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openapi_spec_validator import validate
from sqlalchemy.orm import Session, sessionmaker
from starlette.websockets import WebSocketDisconnect

from backend.app import create_app, openapi_text
from backend.middleware import MAX_BODY_BYTES
from backend.runs import service
from backend.settings import Settings
from ui.app import mount_pages

RUNS = "/api/v1/runs"
TRAIN: dict[str, Any] = {"config": {"kind": "train"}}
FOREIGN_ORIGINS = [
    "http://evil.example",
    "null",
    "http://testserver:81",
    "http://testserver.evil",
    "http://[",
    "http://[bad]",
    "",
]
CONTRACT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/runs", 404),
        ("POST", "/api/", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/v1/runs", 405),
        ("PUT", "/api/v1/runs/01a20fab-c3c9-7645-85c1-92e0fe424f30", 405),
        ("POST", "/livez", 405),
    ],
)
def test_an_unknown_route_or_method_is_a_problem(api: TestClient, method: str, path: str, status: int) -> None:
    response = api.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["request_id"] == response.headers["x-request-id"]


def test_a_method_that_is_refused_names_those_that_are_not(api: TestClient) -> None:
    assert api.delete(RUNS).headers["allow"] == "GET, POST"


def test_a_mistake_of_ours_is_answered_with_an_id_that_the_log_has(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(service, "create_run", fail)
    response = api.post(RUNS, json=TRAIN, headers={"X-Request-ID": "seen-1"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "seen-1"
    assert (response.json()["code"], response.json()["request_id"]) == ("internal", "seen-1")
    assert "secret" not in response.text
    assert "a secret detail" in caplog.text


def test_a_crash_leaves_nothing_half_written(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, broker: Callable[[], list[str]]
) -> None:
    real = service.create_run

    def fail(session: Session, runs_dir: Path, wanted: Any) -> None:
        real(session, runs_dir, wanted)
        raise RuntimeError("after the row was written")

    monkeypatch.setattr(service, "create_run", fail)
    assert api.post(RUNS, json=TRAIN).status_code == 500
    assert api.get(RUNS).json()["data"] == []
    assert broker() == []


def test_an_id_that_could_break_the_log_is_replaced(api: TestClient) -> None:
    response = api.get("/livez", headers={"X-Request-ID": "a b"})
    assert response.headers["x-request-id"] != "a b"
    assert len(response.headers["x-request-id"]) == 16


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "[::2]", "[bad", ""])
def test_a_foreign_host_is_refused(api: TestClient, host: str) -> None:
    response = api.get(RUNS, headers={"Host": host})
    assert (response.status_code, response.json()["code"]) == (421, "misdirected")


@pytest.mark.parametrize("host", ["testserver", "TestServer:80", "127.0.0.1:7860", "[::1]:7860"])
def test_an_own_host_is_answered_on_any_port(api: TestClient, host: str) -> None:
    assert api.get(RUNS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_page_cannot_write(api: TestClient, origin: str) -> None:
    response = api.post(RUNS, json=TRAIN, headers={"Origin": origin})
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert api.get(RUNS).json()["data"] == []


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_page_cannot_read(api: TestClient, origin: str) -> None:
    for path in (RUNS, "/api/v1/version", "/metrics"):
        response = api.get(path, headers={"Origin": origin})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_a_foreign_page_cannot_open_a_websocket(api: TestClient) -> None:
    page = api.websocket_connect("/api/v1/runs", headers={"Origin": "http://evil.example"})
    with pytest.raises(WebSocketDisconnect) as refused, page:
        pass
    assert refused.value.code == 1008


def test_the_own_pages_can_read(api: TestClient) -> None:
    assert api.get(RUNS, headers={"Origin": "http://testserver"}).status_code == 200


def test_the_own_pages_can_write(api: TestClient) -> None:
    assert api.post(RUNS, json=TRAIN, headers={"Origin": "http://testserver"}).status_code == 201
    assert api.get(RUNS, headers={"Origin": "http://evil.example"}).headers.get("access-control-allow-origin") is None


def test_pages_behind_a_proxy_can_write_from_the_public_address(
    settings: Settings, sessions: sessionmaker[Session], broker: object
) -> None:
    public = settings.model_copy(update={"public_url": "https://studio.example/"})
    with TestClient(create_app(public)) as client:
        assert client.get(RUNS, headers={"Host": "studio.example"}).status_code == 200
        assert client.post(RUNS, json=TRAIN, headers={"Origin": "https://studio.example"}).status_code == 201
        assert client.post(RUNS, json=TRAIN, headers={"Origin": "http://studio.example"}).status_code == 403


def test_a_body_beyond_a_mebibyte_is_refused(api: TestClient) -> None:
    large = b'{"config": "' + b"x" * MAX_BODY_BYTES + b'"}'
    response = api.post(RUNS, content=large)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_a_large_body_that_hides_its_length_is_refused(api: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 65_536

    response = api.post(RUNS, content=parts(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc"])
def test_the_contract_is_found_where_tools_look_for_it(path: str) -> None:
    client = TestClient(mount_pages(create_app(Settings(database_url=None))), base_url="http://127.0.0.1")
    answer = client.get(path)
    assert [step.status_code for step in answer.history] == [307]
    assert answer.url.path == "/api/v1/openapi.json"
    assert answer.json()["info"]["title"] == "Unmask Studio"


def test_the_committed_contract_is_the_apps() -> None:
    text = CONTRACT.read_text()
    assert text == openapi_text(), "write it anew: python -m backend.app > docs/openapi.json"


def test_the_contract_is_valid_and_complete() -> None:
    contract = json.loads(openapi_text())
    validate(contract)
    names = []
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            names.append(operation["operationId"])
            assert operation["description"], (method, path)
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
            answers = [answer for status, answer in operation["responses"].items() if status in ("200", "201")]
            if "204" in operation["responses"]:
                continue  # There is nothing to tell of what is gone.
            assert answers, (method, path)
            assert all(answer["content"] for answer in answers), (method, path)
    assert len(set(names)) == len(names)


def test_every_get_of_the_contract_is_served(app: FastAPI, api: TestClient) -> None:
    """A route that is described but not there would answer 404 with the words for unknown routes."""
    for path in app.openapi()["paths"]:
        concrete = path.replace("{run_id}", str(0)).replace("{sample_id}", str(0)).replace("{step}", "0")
        response = api.request("GET" if "get" in app.openapi()["paths"][path] else "POST", concrete)
        assert "there is nothing at" not in response.text, path


def test_the_app_starts_without_a_database_and_without_heavy_imports() -> None:
    script = (
        "import sys; from backend.app import create_app; create_app()\n"
        "heavy = ('torch', 'transformers', 'gradio', 'scipy', 'pyarrow', 'pandas')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
