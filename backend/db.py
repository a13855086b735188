"""The database: engine, sessions, and the migrations' place. Knows no table and no request."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import from_json, to_json
from sqlalchemy import MetaData, create_engine, event, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from backend.errors import UnavailableError
from backend.settings import Settings

MIGRATIONS_DIR = Path(__file__).resolve().parent.parent / "migrations"

# Postgres cannot hold the character NUL in text or jsonb, in whatever way it is written.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

_ACTIONS = "actions after the commit"

# More at once would only wait for each other on the cores of one machine.
_LANE_SIZE = 8

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


log = logging.getLogger(__name__)

Done = TypeVar("Done")


class Row(DeclarativeBase):
    """The root of all tables."""

    metadata = MetaData(naming_convention=_NAMING)


def serialize_json(value: Any) -> str:
    """JSON as the database stores it: NaN and infinities are null, NUL is the replacement character."""
    text = to_json(value, inf_nan_mode="null").decode()
    return _ESCAPED_NUL.sub(r"\1\\ufffd", text)


def psycopg_url(text: str) -> URL:
    """The URL with the driver this project uses, whatever spelling of `postgres` was given.

    Raises:
        ValueError: when the URL is no Postgres URL.
    """
    url = make_url(text)
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError(
            f"DATABASE_URL begins with {url.drivername!r}: only Postgres is supported, write postgresql://..."
        )
    return url.set(drivername="postgresql+psycopg")


def database_url(settings: Settings) -> URL:
    """Where the database is.

    Raises:
        UnavailableError: when no URL is set, and so no server was started for this process.
    """
    if settings.database_url is None:
        raise UnavailableError("no DATABASE_URL is set: start with `unmask up`, or set it to a Postgres server's URL")
    return psycopg_url(settings.database_url.get_secret_value())


def build_engine(url: URL | str, *, pool_size: int = 20) -> Engine:
    """An engine whose connections are checked before use, so that a restarted server costs no request."""
    return create_engine(
        psycopg_url(url) if isinstance(url, str) else url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        json_serializer=serialize_json,
        json_deserializer=from_json,
        connect_args={"connect_timeout": 5},
    )


def build_lane(engine: Engine) -> Engine:
    """A second engine for short work that comes often: a statement is its own transaction, and one round trip.

    Its connections are not checked before use, so what is done with it has to be safe to do twice: see `in_lane`. It is
    disposed of with the first engine.
    """
    lane = create_engine(
        engine.url,
        pool_size=_LANE_SIZE,
        max_overflow=0,
        pool_timeout=10,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5},
    )
    event.listen(engine, "engine_disposed", lambda _: lane.dispose())
    return lane


def in_lane(lane: Engine, work: Callable[[Connection], Done]) -> Done:
    """Does `work`; once more on a new connection where the server was restarted since the last one was used."""
    try:
        with lane.connect() as connection:
            return work(connection)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    with lane.connect() as connection:
        return work(connection)


@contextmanager
def begun(connection: Connection) -> Iterator[None]:
    """A transaction of several statements on a connection of a lane."""
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    except BaseException:
        # Broad, for whatever ends it must leave nothing begun. A connection that is broken has nothing to roll back.
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def driver_sql(query: str) -> str:
    """A query with :names as the driver wants it: compiled once, for statements that are asked many times a second."""
    return str(text(query).compile(dialect=psycopg_url("postgresql://").get_dialect()()))


def build_sessions(engine: Engine) -> sessionmaker[Session]:
    """A maker of sessions; rows stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


def after_commit(session: Session, action: Callable[[Session], None]) -> None:
    """Has `action` done once the transaction is committed, in a transaction of its own; a rollback drops it.

    What is committed stands, so an action that fails is logged and fails nobody: whatever must happen needs somebody
    who looks again.
    """
    session.info.setdefault(_ACTIONS, []).append(action)


@contextmanager
def transaction(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back when an exception passes; then what waited for the commit."""
    with sessions() as session:
        with session.begin():
            yield session
        for action in session.info.pop(_ACTIONS, []):
            try:
                with session.begin():
                    action(session)
            except Exception:
                # Broad, since an answer of "nothing was changed" would be untrue whatever went wrong.
                log.exception("an action after a commit failed")
