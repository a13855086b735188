"""The pages' way to the studio: its own REST API, through the typed client, as the browser's request reached it."""

from __future__ import annotations

import gradio as gr
import httpx

from backend.client import StudioClient
from backend.errors import StudioError

__all__ = ["StudioClient", "StudioError", "client_for"]


class _UnderTheSameName(httpx.HTTPTransport):
    """Speaks to the server under the host name by which the browser knows it, which the server has accepted."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["host"] = self._host
        return super().handle_request(request)


def client_for(request: gr.Request) -> StudioClient:
    """A client of the very server that answers this request."""
    host, port = request.request.scope["server"]
    return StudioClient(f"http://{host}:{port}", transport=_UnderTheSameName(request.headers["host"]))
