"""The pages' way to the studio: its own REST API, through the typed client, as the browser's request reached it."""

from __future__ import annotations

import gradio as gr
import httpx

from backend.client import StudioClient
from backend.errors import StudioError

__all__ = ["StudioClient", "StudioError", "client_for"]


# Whom the browser spoke to, what it showed, and from which page: all of it the server has accepted.
_PASSED_ON = ("host", "cookie", "authorization", "origin")


class _AsTheBrowser(httpx.HTTPTransport):
    """Speaks to the server under the name by which the browser knows it, with the session that the browser has."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self._headers = headers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(self._headers)
        return super().handle_request(request)


def client_for(request: gr.Request) -> StudioClient:
    """A client of the very server that answers this request."""
    host, port = request.request.scope["server"]
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    return StudioClient(f"http://{host}:{port}", transport=_AsTheBrowser(headers))
