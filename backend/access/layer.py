"""Lets pass who shows the access token or a session, and others on the open paths alone. Plain ASGI: streams flow."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.access.gate import Gate
from backend.access.open_paths import SIGN_IN, is_open
from backend.errors import ForbiddenError, StudioError, UnauthenticatedError
from backend.preferences.tokens import PREFIX
from backend.problems import problem_response

# Where a page finds how it was opened; the pages show a way out to those who have a session.
OPENED_BY = "opened_by"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_BEARER = re.compile(r"Bearer +(\S+)", re.IGNORECASE)
_NOTHING_SHOWN = (
    "this studio asks for its access token: send it as `Authorization: Bearer ...`; the command line takes it from "
    f"UNMASK_TOKEN; in a browser, sign in at {SIGN_IN}"
)
_NO_ORIGIN = "with a session, only a page of this studio may change things: a program sends the access token instead"


class AccessLayer:
    """Shuts everything but the open paths, whatever routes and mounts there will be."""

    def __init__(self, app: ASGIApp, *, gate: Gate) -> None:
        self.app = app
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        kind = scope["type"]
        if kind == "lifespan" or (kind == "http" and is_open(scope["method"], scope["path"])):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = await self._refusal(scope, headers)
        if error is None:
            await self.app(scope, receive, _kept_private(send))
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif isinstance(error, UnauthenticatedError) and _is_page(scope, headers):
            away = RedirectResponse(f"{SIGN_IN}?next={_place(scope)}", 303, {"Cache-Control": "no-store"})
            await away(scope, receive, send)
        else:
            await problem_response(error, scope)(scope, receive, send)

    async def _refusal(self, scope: Scope, headers: Headers) -> StudioError | None:
        shown = _BEARER.fullmatch(headers.get("authorization", ""))
        if shown is not None and self.gate.is_token(shown[1]):
            scope.setdefault("state", {})[OPENED_BY] = "token"
            return None
        if session_of(self.gate, headers) is not None:
            # The layer before this one refuses a foreign origin; a browser names its own wherever something changes.
            if "origin" not in headers and scope.get("method") not in SAFE:
                return ForbiddenError(_NO_ORIGIN)
            scope.setdefault("state", {})[OPENED_BY] = "session"
            return None
        # A rater's token at the wrong door is nobody's guess.
        if shown is None or shown[1].startswith(PREFIX):
            return UnauthenticatedError(_NOTHING_SHOWN)
        return await self.gate.wrong_try(address_of(scope))


def session_of(gate: Gate, headers: Headers) -> datetime | None:
    """When the session ends that the request's cookie holds; None without a valid one."""
    return gate.end_of_session(cookie_parser(headers.get("cookie", "")).get(gate.cookie_name, ""))


def address_of(scope: Scope) -> str:
    """Whose try it is; behind a proxy on this machine, uvicorn has read it from X-Forwarded-For."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _is_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person waits for a page, who can sign in, rather than a program or a script."""
    is_asked = scope["method"] in ("GET", "HEAD") and not scope["path"].startswith("/api/")
    return is_asked and "text/html" in headers.get("accept", "") and "authorization" not in headers


def _place(scope: Scope) -> str:
    """The page that was asked for, to come back to; a path that could be read as another host is no place."""
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
    query = scope.get("query_string", b"").decode("latin-1")
    is_local = re.match(r"/(?![/\\])", path) is not None
    return quote(f"{path}?{query}" if query else path, safe="") if is_local else "%2F"


def _kept_private(send: Send) -> Send:
    """The same answer, which no shared cache may keep, for it would hand it to those who are shut out here.

    A page is not kept at all: the Back button must not show it to who comes after somebody has signed out.
    """

    async def send_private(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            is_page = headers.get("content-type", "").startswith("text/html")
            given = headers.get("cache-control", "no-store" if is_page else "private")
            headers["cache-control"] = re.sub(r"\bpublic\b", "private", given)
        await send(message)

    return send_private
