"""A web process with an access token, every address of its routes, and a client that leaves paths as they are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message

from backend.app import create_app
from backend.settings import Settings
from ui.app import STATIC, mount_pages

TOKEN = "an-access-token-of-the-tests"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
UUID = "01a20fab-c3c9-7645-85c1-92e0fe424f30"


def shut_studio(settings: Settings) -> FastAPI:
    """The whole web process, shut; wrong tries are answered at once, and the pages are never built."""
    app = mount_pages(create_app(settings.model_copy(update={"access_token": SecretStr(TOKEN)})))
    app.state.gate._delay_seconds = 0.0
    return app


def paths_of(routes: list[Any], prefix: str = "") -> Iterator[str]:
    """An address of every route, those of included and mounted apps too; a mount also at a place within it."""
    for route in routes:
        if isinstance(route, Mount):
            yield from (f"{prefix}{route.path}/", f"{prefix}{route.path}/anything")
            yield from paths_of(list(getattr(route.app, "routes", [])), prefix + route.path)
        elif isinstance(route, Route):
            yield prefix + re.sub(r"\{\w+(:\w+)?\}", UUID, route.path)
        else:
            # FastAPI keeps an included router as it is; a kind of route that is unknown here must fail this walk.
            yield from paths_of(list(route.original_router.routes), prefix + route.include_context.prefix)


def loaded_by(page: str) -> set[str]:
    """Every address of ours that a page loads, also through its scripts' imports and whatever else they name."""
    waiting, found = set(re.findall(r'(?:href|src)="(/[^"]+)"', page)), set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        file = STATIC / Path(path).name
        if file.suffix in (".js", ".css") and file.exists():
            text = file.read_text()
            named = re.findall(r'(?:from |import\(?)"\./([\w.]+)"', text) + re.findall(r"/studio/([\w.]+)", text)
            waiting |= {f"/studio/{name}" for name in named} - found
    return found


def asked(app: ASGIApp, method: str, path: str, raw_path: bytes) -> int:
    """The status of an answer to a path that no client has tidied up."""
    statuses: list[int] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": raw_path,
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("203.0.113.9", 1),
        "server": ("testserver", 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return statuses[0]
