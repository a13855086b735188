"""The rater's door: a token that opens it and nothing else, and the order and sides that follow from who holds it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.db import transaction
from backend.dependencies import get_settings_of_app, sessions_of
from backend.errors import ForbiddenError, LinkShutError
from backend.models import LabelTaskRow, RaterRow
from backend.problems import problem_response
from backend.settings import Settings

PREFIX = "rater_"
DOOR = "/api/v1/rating"

_LARGEST = 2**31 - 1

Done = TypeVar("Done")


def new_token() -> str:
    """A token that nobody guesses."""
    return PREFIX + secrets.token_urlsafe(24)


def token_of_key(salt: str, key: str) -> str:
    """The token of a rater who was made under an Idempotency-Key: the same each time, and no one's who lacks either.

    The studio keeps the salt, and of the key a hash: with its database alone nobody has the token.

    Args:
        salt: long and random.
        key: the header's.
    """
    digest = hmac.digest(salt.encode(), key.encode(), "sha256")
    return PREFIX + base64.urlsafe_b64encode(digest[:24]).decode()


def hash_of(token: str) -> str:
    """What the studio keeps of a token; it is long and random, so a plain hash cannot be undone."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_shuffle() -> int:
    """A number that makes an order of pairs: places times it, modulo a prime."""
    return 1 + secrets.randbelow(_LARGEST - 1)


def is_swapped(rater_id: UUID, pair_id: UUID) -> bool:
    """Whether this rater sees the pair's first picture on the right: by chance, and the same at each look."""
    return bool(hashlib.sha256(rater_id.bytes + pair_id.bytes).digest()[0] & 1)


def token_of(authorization: str | None) -> str | None:
    """The rater's token in an Authorization header, or None."""
    found = re.fullmatch(r"Bearer\s+(\S+)", authorization or "", re.IGNORECASE)
    return found[1] if found and found[1].startswith(PREFIX) else None


def link_shut() -> LinkShutError:
    """The error that tells a rater that their link is no longer good."""
    return LinkShutError("this link opens nothing: it was withdrawn or not copied whole; ask for a new one")


@dataclass(frozen=True)
class Door:
    """One request at the rater's door: one piece of work for one thread, from the token to the commit.

    The common kind of endpoint goes to and fro between the event loop and its threads several times a request; with
    many raters who vote each second, that is most of what they would wait for.
    """

    sessions: sessionmaker[Session]
    lane: Engine
    settings: Settings
    token: str | None

    def rater_id(self) -> UUID | None:
        """Whose token it is; None where it is nobody's."""
        with transaction(self.sessions) as session:
            found = None if self.token is None else _find(session, self.token)
            return None if found is None else found[0].id

    async def do_quickly(self, work: Callable[[Engine, UUID], Done]) -> Done:
        """Does what is asked with every vote, as few statements in the lane, for whoever has the token.

        Only who that is was looked up before: the statements themselves have to look whether the link still opens.

        Raises:
            LinkShutError: without a rater's token.
        """
        return await run_in_threadpool(self._do_quickly, work)

    def _do_quickly(self, work: Callable[[Engine, UUID], Done]) -> Done:
        if self.token is None:
            raise link_shut()
        return work(self.lane, _rater_id(self.sessions, hash_of(self.token)))

    async def do(self, work: Callable[[Session, RaterRow, LabelTaskRow], Done]) -> Done:
        """Does something for whoever asks, in one transaction.

        Raises:
            LinkShutError: without a rater's token, or with one that was withdrawn.
        """
        return await run_in_threadpool(self._do, work)

    def _do(self, work: Callable[[Session, RaterRow, LabelTaskRow], Done]) -> Done:
        with transaction(self.sessions) as session:
            found = None if self.token is None else _find(session, self.token)
            if found is None or found[0].is_revoked:
                raise link_shut()
            return work(session, *found)


def door_at(request: Request, authorization: str | None) -> Door:
    """The door with the key of an Authorization header."""
    return Door(sessions_of(request), request.app.state.lane, get_settings_of_app(request), token_of(authorization))


async def door_of(
    request: Request, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Door:
    """The door with the key that the request brings."""
    return door_at(request, authorization)


DoorDep = Annotated[Door, Depends(door_of)]


def _find(session: Session, token: str) -> tuple[RaterRow, LabelTaskRow] | None:
    query = (
        select(RaterRow, LabelTaskRow)
        .join(LabelTaskRow, LabelTaskRow.id == RaterRow.label_task_id)
        .where(RaterRow.token_hash == hash_of(token))
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


@lru_cache(maxsize=1000)
def _rater_id(sessions: sessionmaker[Session], token_hash: str) -> UUID:
    """Whose token it is, which never changes; what is no token is looked up each time, for it may become one."""
    with transaction(sessions) as session:
        rater_id = session.scalars(select(RaterRow.id).where(RaterRow.token_hash == token_hash)).one_or_none()
    if rater_id is None:
        raise link_shut()
    return rater_id


class RaterLayer:
    """Shuts every other route to a rater's token, whatever routes there will be: plain ASGI, before all of them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_foreign = scope["type"] == "http" and not _is_door(scope["path"])
        if is_foreign and token_of(Headers(scope=scope).get("authorization")) is not None:
            error = ForbiddenError("a rater's link opens the rater's page and nothing else of this studio")
            await problem_response(error, scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_door(path: str) -> bool:
    return path == DOOR or path.startswith(f"{DOOR}/")
