"""The database's foundations: its migrations are its models, its JSON holds what JSON cannot, its clock is one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

import migrations
from backend.db import Row, after_commit, psycopg_url, serialize_json, transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.settings import Settings

Sessions = sessionmaker[Session]


def test_the_migrations_make_exactly_the_models(sessions: Sessions) -> None:
    with sessions() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Row.metadata) == []


def test_two_migrations_at_once_wait_for_each_other(postgres_url: str) -> None:
    admin = create_engine(psycopg_url(postgres_url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE twice"))
    url = psycopg_url(postgres_url).set(database="twice")
    script = f"import migrations; migrations.upgrade({url.render_as_string(hide_password=False)!r})"
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    engine = create_engine(url)
    with engine.connect() as connection:
        assert migrations.current_revision(connection) == migrations.newest_revision()
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE twice"))
    admin.dispose()


@pytest.mark.parametrize("text", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"])
def test_every_spelling_of_postgres_is_understood(text: str) -> None:
    url = psycopg_url(text)
    assert (url.drivername, url.password) == ("postgresql+psycopg", "p")


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"begins with 'sqlite'.*postgresql://"):
        psycopg_url("sqlite:///x.db")


def test_a_password_is_not_shown_by_settings() -> None:
    settings = Settings.model_validate({"DATABASE_URL": "postgresql://u:secret@h/d"})
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"a": float("nan"), "b": float("-inf")}, '{"a":null,"b":null}'),
        ("a\x00b", '"a\\ufffdb"'),
        ("a\\u0000b", '"a\\\\u0000b"'),
        ("\\\x00", '"\\\\\\ufffd"'),
    ],
)
def test_json_holds_what_the_database_can(value: object, stored: str) -> None:
    assert serialize_json(value) == stored


def test_what_waits_for_a_commit_is_dropped_by_a_rollback(sessions: Sessions) -> None:
    done: list[str] = []
    with transaction(sessions) as session:
        after_commit(session, lambda _: done.append("committed"))
        assert done == []
    with pytest.raises(RuntimeError, match="stop"), transaction(sessions) as session:  # noqa: PT012
        after_commit(session, lambda _: done.append("rolled back"))
        raise RuntimeError("stop")
    assert done == ["committed"]


def test_an_action_that_fails_after_the_commit_takes_nothing_back(
    sessions: Sessions, make_run: Callable[..., RunRow], caplog: pytest.LogCaptureFixture
) -> None:
    run_id, done = make_run().id, []

    def fail(session: Session) -> None:
        session.execute(text("UPDATE run SET name = 'undone'"))
        raise OperationalError("UPDATE", None, Exception("away"))

    with transaction(sessions) as session:
        session.execute(text("UPDATE run SET name = 'kept'"))
        after_commit(session, fail)
        after_commit(session, lambda session: done.append(session.scalar(text("SELECT name FROM run"))))
    assert done == ["kept"]
    assert "an action after a commit failed" in caplog.text
    with transaction(sessions) as session:
        assert runs.get_run(session, run_id=run_id).name == "kept"
