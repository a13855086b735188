"""Which studio the command line speaks to: the one that was named, else the one that runs on the data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

import typer

from backend.client import StudioClient
from backend.embedded.data_folder import DataFolder
from backend.schemas.base import Page
from backend.settings import get_settings

Item = TypeVar("Item")
LARGEST_PAGE = 100


def connect(context: typer.Context) -> StudioClient:
    """A client of the studio that the command means."""
    settings = get_settings()
    named: str | None = context.find_root().obj
    local = f"http://127.0.0.1:{settings.port}"
    own = [each for each in (settings.public_url, DataFolder(settings.data_dir).read_address(), local) if each]
    address = named or own[0]
    token = settings.token
    # What opens the studio of this machine is shown to no other that somebody names.
    if token is None and address.rstrip("/") in [each.rstrip("/") for each in own]:
        token = settings.access_token
    client = StudioClient(address, token=None if token is None else token.get_secret_value())
    # Closed with the command, however that ends.
    return context.with_resource(client)


def all_items(fetch: Callable[[str | None], Page[Item]], at_most: int) -> list[Item]:
    """The first items of a list, over as many pages as it takes."""

    def pages() -> Iterator[Item]:
        cursor: str | None = None
        while True:
            page = fetch(cursor)
            yield from page.data
            cursor = page.next_cursor
            if cursor is None:
                return

    return list(islice(pages(), at_most))
