"""The database's history. `upgrade(url)` brings a database to the newest state; knows no settings of its own."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection

from backend.db import psycopg_url


def _config(url: URL | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def upgrade(url: str | URL) -> None:
    """Brings the database to the newest state; does nothing when it is there. Two at once wait for each other."""
    command.upgrade(_config(psycopg_url(url) if isinstance(url, str) else url), "head")


def newest_revision() -> str | None:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()
