"""What endpoints are given: a session whose commit comes before the answer, the settings, a page's bounds."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.errors import MalformedError, UnavailableError
from backend.schemas.base import FieldProblem
from backend.settings import Settings

MAX_INTEGER = 2**31 - 1


def sessions_of(request: Request) -> sessionmaker[Session]:
    """The app's maker of sessions.

    Raises:
        UnavailableError: when the app was started without a database.
    """
    sessions: sessionmaker[Session] | None = request.app.state.sessions
    if sessions is None:
        raise UnavailableError("no DATABASE_URL is set: start with `unmask up`, or set it to a Postgres server's URL")
    return sessions


def get_session(request: Request) -> Iterator[Session]:
    """One transaction a request."""
    with transaction(sessions_of(request)) as session:
        yield session


def get_settings_of_app(request: Request) -> Settings:
    """The settings that the app was created with."""
    settings: Settings = request.app.state.settings
    return settings


def get_runs_dir(request: Request) -> Path:
    """Where the runs' folders lie."""
    return get_settings_of_app(request).runs_dir


# The scope matters: by default FastAPI ends a dependency after the answer has left, so the commit would come too late.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
SettingsDep = Annotated[Settings, Depends(get_settings_of_app)]
RunsDirDep = Annotated[Path, Depends(get_runs_dir)]
Limit = Annotated[int, Query(ge=1, le=100, description="Items a page")]
After = Annotated[str | None, Query(max_length=400, description="The `next_cursor` of the page before")]
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=200, description="Repeats get the first answer"),
]
Counter = Annotated[int, Query(ge=0, le=MAX_INTEGER)]


def encode_cursor(*place: Any) -> str:
    """A place in a list, as text that nobody should read."""
    return base64.urlsafe_b64encode(json.dumps(place, default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: Any) -> tuple[Any, ...] | None:
    """The place that `encode_cursor` wrote, each part read by its kind; MalformedError when it is no such text."""
    if cursor is None:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(kind(part) for kind, part in zip(kinds, place, strict=True))
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        problem = FieldProblem(pointer="/query/after", message="no cursor of this list")
        raise MalformedError("`after` is no cursor of this list: take it from `next_cursor`", (problem,)) from error


def etag_matches(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
