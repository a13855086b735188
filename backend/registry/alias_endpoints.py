"""/api/v1/aliases: names that mean a model, with every move that each ever made."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response
from sqlalchemy.orm import Session

from backend.dependencies import After, Limit, RunsDirDep, SessionDep, decode_cursor, encode_cursor
from backend.models import AliasRow
from backend.registry import aliases, repository
from backend.schemas.base import Page
from backend.schemas.registry import Alias, AliasMove, AliasName, AliasSet

router = APIRouter(prefix="/aliases", tags=["models"])

IfMatch = Annotated[str | None, Header(alias="If-Match", description="Answers 412 when it was moved meanwhile")]


@router.get("")
def list_aliases(session: SessionDep, limit: Limit = 20, after: After = None) -> Page[Alias]:
    """Aliases by name."""
    place = decode_cursor(after, str)
    rows = repository.list_aliases(session, limit=limit + 1, after=None if place is None else place[0])
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1].name) if has_more else None
    return Page(data=aliases.told(session, shown), has_more=has_more, next_cursor=cursor)


@router.get("/{name}")
def get_alias(session: SessionDep, response: Response, name: AliasName) -> Alias:
    """What a name means now."""
    return _answer(session, response, aliases.get_alias(session, name))


@router.put("/{name}")
def set_alias(
    session: SessionDep,
    runs_dir: RunsDirDep,
    response: Response,
    name: AliasName,
    wanted: AliasSet,
    if_match: IfMatch = None,
) -> Alias:
    """Has a name mean a model, new or moved. With If-Match, only when nobody else moved it since.

    A name of policies cannot be moved to a reward model, nor back: 409 says how to go on.
    """
    return _answer(session, response, aliases.set_alias(session, runs_dir, name, wanted, if_match))


@router.delete("/{name}", status_code=204)
def delete_alias(session: SessionDep, name: AliasName, if_match: IfMatch = None) -> None:
    """Gives a name up; runs that were started by it keep their model, and its moves stay to be read."""
    aliases.give_up_alias(session, name, if_match)


@router.get("/{name}/moves")
def list_moves(session: SessionDep, name: AliasName, limit: Limit = 20, after: After = None) -> Page[AliasMove]:
    """What the name has meant, the newest first; also of a name that was given up."""
    place = decode_cursor(after, UUID)
    rows = repository.list_moves(session, name=name, limit=limit + 1, before=None if place is None else place[0])
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1].id) if has_more else None
    return Page(data=[row.to_wire() for row in shown], has_more=has_more, next_cursor=cursor)


def _answer(session: Session, response: Response, row: AliasRow) -> Alias:
    response.headers["ETag"] = aliases.etag_of(row)
    return aliases.told(session, [row])[0]
