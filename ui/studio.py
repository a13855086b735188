"""The pages' way to the studio: its own REST API, through the typed client, as the browser's request reached it."""

from __future__ import annotations

import gradio as gr
import httpx

from backend.client import StudioClient

__all__ = ["StudioClient", "client_for", "words_of"]


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


def words_of(error: Exception) -> str:
    """An error in words a person can act on."""
    return str(error) or type(error).__name__
