"""The ASGI app a person opens: the API under /api/v1 and the pages under /, one origin.

Importing Gradio takes seconds, so the API and a waiting page answer first; the pages take over when they are built.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.pages.rating import rating_page, rating_worker
from ui.pages.sign_in import sign_in_page
from ui.theme import css_variables

STATIC = Path(__file__).parent / "components" / "static"
WAITING_PAGE = STATIC / "waiting.html"
logger = logging.getLogger("ui")


class Files(StaticFiles):
    """The scripts and styles, which a browser asks for anew: without a word it may keep an old version for days."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, or word that the browser's copy is still it."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


class Pages:
    """Serves the pages once they are built, and until then a page that waits for them."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.failure: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._waiting(scope["path"])(scope, receive, send)

    def _waiting(self, path: str) -> Response:
        if "." in path or path.startswith("/gradio_api"):
            return Response("the pages are starting", status_code=503, headers={"Retry-After": "1"})
        page = WAITING_PAGE.read_text()
        if self.failure is not None:
            page = page.replace("<!-- failure -->", "<p class=failure>The pages could not start. See the log.</p>")
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})


def build_pages() -> FastAPI:
    """Imports Gradio and builds every page: seconds of work, meant for a thread."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from ui.pages.site import build_site  # noqa: PLC0415

    return build_site()


async def _built_aside() -> FastAPI:
    """The built pages. Their thread is a daemon's: asyncio's own would hold up a stop until Gradio is imported."""
    outcome: Future[FastAPI] = Future()
    outcome.set_running_or_notify_cancel()

    def build() -> None:
        try:
            outcome.set_result(build_pages())
        except BaseException as error:
            # Broad, for whatever ends this thread must reach who waits for it.
            outcome.set_exception(error)

    Thread(target=build, name="pages", daemon=True).start()
    return await asyncio.wrap_future(outcome)


async def _open_pages(pages: Pages, is_closing: asyncio.Event) -> None:
    try:
        site = await _built_aside()
        async with site.router.lifespan_context(site):
            pages.app = site
            logger.info("pages are ready")
            await is_closing.wait()
    except Exception:
        pages.failure = "build"
        logger.exception("the pages could not start; the API goes on without them")


def mount_pages(app: FastAPI) -> FastAPI:
    """Adds the static files, the theme and the pages below an API app that has all its routes."""
    pages = Pages()
    inner_lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(scope_app: FastAPI) -> AsyncIterator[object]:
        is_closing = asyncio.Event()
        async with inner_lifespan(scope_app) as state:
            opening = asyncio.create_task(_open_pages(pages, is_closing))
            try:
                yield state
            finally:
                is_closing.set()
                if pages.app is None:
                    opening.cancel()
                with suppress(asyncio.CancelledError):
                    await opening

    @app.get("/studio/theme.css", include_in_schema=False)
    def theme_css() -> Response:
        return Response(css_variables(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    @app.get("/studio/rate_worker.js", include_in_schema=False)
    def rate_worker_js() -> Response:
        return rating_worker(STATIC)

    app.add_api_route("/rate", rating_page, include_in_schema=False)
    app.add_api_route("/sign-in", sign_in_page, include_in_schema=False)
    app.router.lifespan_context = lifespan  # type: ignore[assignment]
    app.mount("/studio", Files(directory=STATIC), name="studio")
    app.mount("/", pages, name="pages")
    app.state.pages = pages
    return app


def create_studio() -> FastAPI:
    """The whole web process: backend's API and the pages."""
    from backend.access.exposure import exposure  # noqa: PLC0415
    from backend.app import create_app  # noqa: PLC0415
    from backend.logs import configure_logging  # noqa: PLC0415
    from backend.settings import get_settings  # noqa: PLC0415

    settings = get_settings()
    configure_logging(settings.log_format)
    if (warning := exposure(settings)) is not None:
        logger.warning(warning)
    return mount_pages(create_app())
