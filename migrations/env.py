"""Alembic's entry: runs migrations on the URL it was given by `migrations.upgrade`, else on DATABASE_URL's."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from backend.db import Row, build_engine, database_url
from backend.models import RunRow
from backend.settings import get_settings

# An arbitrary number that names this program's migrations to Postgres.
_LOCK = 4_961_207_733

assert RunRow.metadata is Row.metadata  # The import above is what fills the metadata.


def _run() -> None:
    engine = build_engine(context.config.attributes.get("url") or database_url(get_settings()))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            context.configure(connection=connection, target_metadata=Row.metadata, compare_type=True)
            context.run_migrations()
    finally:
        engine.dispose()


_run()
