"""The typed client against a real server: objects come back typed, problems as errors, a watch survives restarts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.orm import Session, sessionmaker

from backend.app import create_app
from backend.client import StudioClient
from backend.db import transaction
from backend.errors import ConflictError, MalformedError, NotFoundError, OutdatedError, UnavailableError
from backend.models import RunRow
from backend.runs import repository as runs
from backend.schemas.config import TrainConfig
from backend.schemas.event import Log
from backend.schemas.every_run import RunKind
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.run import RunClone, RunCreate, RunEdit, RunStatus
from backend.settings import Settings

MakeRun = Callable[..., RunRow]
Sessions = sessionmaker[Session]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def serving(settings: Settings, port: int) -> Iterator[FastAPI]:
    """A real server in a thread; it ends open streams when it stops, as a process that dies does."""
    app = create_app(settings)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1, lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield app
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def studio(settings: Settings, sessions: Sessions, broker: object) -> Iterator[StudioClient]:
    port = free_port()
    with serving(settings, port), StudioClient(f"http://127.0.0.1:{port}") as client:
        yield client


def test_a_run_is_created_edited_paused_and_cloned_through_the_client(studio: StudioClient) -> None:
    config = TrainConfig(name="first", num_steps=4)
    wanted = RunCreate(config=config, tags=("t",))
    run = studio.create_run(wanted, idempotency_key="k")
    assert studio.create_run(wanted, idempotency_key="k") == run
    assert run.config == config
    assert studio.edit_run(run.id, RunEdit(name="new")).tags == ("t",)
    assert studio.pause_run(run.id).status is RunStatus.PAUSED
    assert studio.resume_run(run.id).status is RunStatus.QUEUED
    assert studio.sample_now(run.id).flags.is_sample_requested
    assert studio.save_checkpoint(run.id).flags.is_save_requested
    clone = studio.clone_run(run.id, RunClone(config=SampleConfig(name="s")))
    assert (clone.kind, clone.name, clone.parent_run_id) == (RunKind.SAMPLE, "s", run.id)
    assert studio.cancel_run(run.id).status is RunStatus.CANCELLED
    page = studio.list_runs(status=[RunStatus.QUEUED, RunStatus.CANCELLED], limit=1)
    assert page.data == [studio.get_run(clone.id)]
    assert studio.list_runs(after=page.next_cursor).data[0].id == run.id
    assert [event.seq for event in studio.list_events(run.id).data] == [1, 2, 3, 4]


def test_everything_else_comes_back_typed(studio: StudioClient, make_run: MakeRun) -> None:
    run = make_run()
    assert studio.preview_run(RunCreate(config=TrainConfig())).yaml.startswith("name: ''")
    assert studio.list_metrics(run.id, keys=["reward"]).points == []
    assert studio.list_groups(run.id).data == []
    assert studio.list_group_steps(run.id) == []
    assert studio.list_checkpoints(run.id).data == []
    assert studio.get_log(run.id).text == ""
    assert studio.list_models().data[0].source == "shipped"
    assert [studio.get_recipe(recipe.name) for recipe in studio.list_recipes()] == studio.list_recipes()
    assert studio.list_workers() == []
    assert studio.get_version().api == "v1"
    assert studio.check_readiness().is_ready
    assert "$defs" in studio.get_config_schema()


def test_problems_are_raised_as_the_errors_they_stand_for(studio: StudioClient, make_run: MakeRun) -> None:
    run = make_run()
    with pytest.raises(NotFoundError, match="there is no run"):
        studio.get_run(uuid4())
    with pytest.raises(MalformedError) as refused:
        studio.list_runs(limit=0)
    assert refused.value.errors[0].pointer == "/query/limit"
    assert refused.value.request_id, "the error that a person sees carries the id that the log has"
    with pytest.raises(OutdatedError):
        studio.edit_run(run.id, RunEdit(name="n"), if_match='"9-0"')
    studio.pause_run(run.id)
    with pytest.raises(ConflictError):
        studio.sample_now(run.id)
    for ask in (
        studio.get_sample,
        studio.get_image,
        studio.get_trajectory,
        studio.get_frames,
        studio.request_frames,
    ):
        with pytest.raises(NotFoundError):
            ask(uuid4())
    with pytest.raises(NotFoundError):
        studio.get_frame(uuid4(), 0)
    with pytest.raises(NotFoundError):
        studio.get_replay(uuid4(), "gif")


def test_a_studio_that_is_away_is_named() -> None:
    with StudioClient(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(UnavailableError, match="unmask up"):
        client.get_version()


def test_a_watch_ends_with_the_run(studio: StudioClient, make_run: MakeRun) -> None:
    run = make_run()
    studio.cancel_run(run.id)
    assert [event.seq for event in studio.watch(run.id)] == [1, 2]
    assert list(studio.watch(run.id, after=2)) == []


def test_a_watch_of_an_unknown_run_is_refused(studio: StudioClient) -> None:
    with pytest.raises(NotFoundError):
        next(iter(studio.watch(uuid4())))


def test_a_watch_goes_on_where_it_was_when_the_server_comes_back(
    settings: Settings, sessions: Sessions, make_run: MakeRun
) -> None:
    row, port = make_run(worker="w"), free_port()
    told: list[int] = []

    def tell(message: str) -> None:
        with transaction(sessions) as session:
            runs.append_event(session, run_id=row.id, attempt=1, body=Log(message=message))

    def watch() -> None:
        with StudioClient(f"http://127.0.0.1:{port}") as client:
            told.extend(event.seq for event in client.watch(row.id))

    with serving(settings, port):
        watcher = threading.Thread(target=watch)
        watcher.start()
        tell("before")
        deadline = time.monotonic() + 20
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
    tell("while the server is away")
    with serving(settings, port):
        with transaction(sessions) as session:
            runs.finish(session, run_id=row.id, attempt=1, status=RunStatus.SUCCEEDED)
        watcher.join()
    assert told == [1, 2, 3, 4, 5]


def test_a_listener_that_goes_away_is_forgotten(settings: Settings, sessions: Sessions, make_run: MakeRun) -> None:
    row, port = make_run(worker="w"), free_port()
    with serving(settings, port) as app, StudioClient(f"http://127.0.0.1:{port}") as client:
        watching = client.watch(row.id)
        assert next(watching).seq == 1
        assert app.state.feed._watched[row.id] == 1
        watching.close()
        deadline = time.monotonic() + 10
        while app.state.feed._watched and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not app.state.feed._watched
