"""Puts our own head into the HTML of every page, so that chrome and colours are there before Gradio has booted."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.pages.preloads import preloads

HEAD = """
<script>
const chosen = localStorage.getItem("unmask-theme");
if (chosen) document.documentElement.dataset.theme = chosen;
</script>
<link rel="icon" type="image/svg+xml" href="/studio/icon.svg">
<link rel="stylesheet" href="/studio/theme.css">
<link rel="stylesheet" href="/studio/studio.css">
<link rel="stylesheet" href="/studio/parts.css">
<link rel="stylesheet" href="/studio/form.css">
<script type="module" src="/studio/shell.js"></script>
"""
# What stands on a page until it has something to show: quiet blocks in the place of its cards. A page is ready when the
# client module has drawn it, the launch page when the server has filled its form.
SKELETON = '<div class="u-boot" aria-hidden="true" data-until="{}"><div><i></i><i></i><i></i><i></i><i></i></div></div>'
READY = {"launch": "#launch-side :is(pre, .u-error)"}
READY_BY_DEFAULT = ".u-hot .u-part:not([aria-busy])"
BODY = re.compile(rb"<body[^>]*>")
# Cards for social networks that speak of Gradio and name pictures elsewhere, and a manifest that nobody serves.
FOREIGN = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>')


# How a request was let in, where the studio asks: the layer before all routes leaves it in the scope.
OPENED_BY = "opened_by"

MISSING_PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such page</title>{HEAD}</head>
<body><main class="u-part u-empty"><strong>There is no such page</strong>
<p>The address may be mistyped, or the page may have moved. Everything in the studio is reached from Home.</p>
<a class="u-btn u-main" href="/">Home</a></main></body></html>
"""


class Document:
    """Rewrites the HTML of the pages and passes everything else through."""

    def __init__(self, app: ASGIApp, modules: Mapping[str, str]) -> None:
        self.app = app
        self.modules = modules  # From a page's path to the client module that draws it.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
        elif scope["path"] in self.modules:
            await self._page(scope, receive, send)
        elif b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            await self._other(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What a person asked for that is no page: a missing one is told in words."""
        is_missing = False

        async def pass_on(message: Message) -> None:
            nonlocal is_missing
            if message["type"] == "http.response.start":
                is_missing = message["status"] == 404
            if not is_missing:
                await send(message)

        await self.app(scope, receive, pass_on)
        if is_missing:
            await HTMLResponse(MISSING_PAGE, status_code=404)(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            page = self._rewritten(body, self.modules[scope["path"]], scope.get("state", {}).get(OPENED_BY))
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            headers.append((b"content-length", str(len(page)).encode()))
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": page})

        await self.app({**scope, "headers": plain}, receive, collect)

    def _rewritten(self, page: bytes, module: str, opened_by: str | None) -> bytes:
        head = f"<title>Unmask Studio</title>{HEAD}{preloads(module)}\n</head>"
        if opened_by is not None:
            head = f'<meta name="unmask-opened-by" content="{opened_by}">\n{head}'
        page = FOREIGN.sub(b"", page).replace(b"</head>", head.encode(), 1)
        skeleton = SKELETON.format(READY.get(module, READY_BY_DEFAULT)).encode()
        return BODY.sub(lambda match: match[0] + skeleton, page, count=1)
