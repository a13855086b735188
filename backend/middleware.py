"""The app's outer layers: request id and count, foreign hosts and origins, body size. Plain ASGI; knows no route."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Collection
from urllib.parse import urlsplit

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import ForbiddenError, MisdirectedError, StudioError, TooLargeError
from backend.problems import answer_crash, problem_response

API = "/api/"
MAX_BODY_BYTES = 2**20
# Files of pictures are longer than any request of words; they go to the disk as they come.
MAX_UPLOAD_BYTES = 2**32
UPLOADS = frozenset({"/api/v1/pair-sets/upload", "/api/v1/prompt-sets/upload"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logging.getLogger(__name__)

REQUESTS = Counter("unmask_http_requests", "Answered requests", ["operation", "status"], registry=None)
SECONDS = Histogram("unmask_http_request_seconds", "Time to the answer's first byte", ["operation"], registry=None)


class RequestLayer:
    """Outermost: names each request, answers what crashed, counts what was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        is_begun = False

        async def send_named(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
                _count(scope, message["status"], time.perf_counter() - began)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_named)
            except Exception:
                log.exception("%s %s failed", scope["method"], scope["path"])
                if is_begun:
                    raise
                await answer_crash(scope)(scope, receive, send_named)


class GuardLayer:
    """Refuses foreign hosts (DNS rebinding), foreign pages, and bodies beyond all sense."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str], public_url: str | None) -> None:
        self.app = app
        self.public_origin = public_url.rstrip("/").lower() if public_url else None
        public_host = urlsplit(public_url).hostname if public_url else None
        self.hosts = {host.strip("[]").lower() for host in (*allowed_hosts, *([public_host] if public_host else []))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = self._refusal(scope, headers)
        if error is None:
            is_api = scope["type"] == "http" and scope["path"].startswith(API)
            await self.app(scope, _limited(receive, _most_bytes(scope)) if is_api else receive, send)
        elif scope["type"] == "http":
            await problem_response(error, scope)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Scope, headers: Headers) -> StudioError | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if "*" not in self.hosts and _name_of(host) not in self.hosts:
            return MisdirectedError(f"this studio does not answer for host {host!r}: add it to UNMASK_ALLOWED_HOSTS")
        if origin is not None and not self._is_own(origin.lower(), host.lower()):
            return ForbiddenError(f"a page from {origin!r} may not use this studio: set UNMASK_PUBLIC_URL to allow it")
        length = headers.get("content-length", "0")
        is_api = scope["path"].startswith(API)
        most = _most_bytes(scope)
        if is_api and length.isdigit() and int(length) > most:
            return TooLargeError(_too_large(int(length), most))
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            return origin == self.public_origin or urlsplit(origin).netloc == host
        except ValueError:
            # Brackets that nobody closed, say: no page of ours has such an origin.
            return False


def _name_of(host: str) -> str:
    """The host's name, without port and brackets; empty when it cannot be read."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _most_bytes(scope: Scope) -> int:
    """How long a request's body may be."""
    return MAX_UPLOAD_BYTES if scope["path"] in UPLOADS else MAX_BODY_BYTES


def _limited(receive: Receive, most: int) -> Receive:
    """The same body, which ends with an error once it is too large: for those that do not say their length."""
    num_bytes = 0

    async def receive_counted() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > most:
            raise HTTPException(TooLargeError.status, _too_large(num_bytes, most))
        return message

    return receive_counted


def _too_large(num_bytes: int, most: int) -> str:
    return f"the body has {num_bytes} bytes or more, at most {most} are read"


def _count(scope: Scope, status: int, seconds: float) -> None:
    # An operation's name, never a path: a path with ids in it would make a new series for each run.
    operation = getattr(scope.get("route"), "name", None) or "other"
    REQUESTS.labels(operation, str(status)).inc()
    SECONDS.labels(operation).observe(seconds)
