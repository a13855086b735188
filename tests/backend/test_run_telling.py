"""What a run tells: events in order and live, checkpoints, the log."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.sse import KEEPALIVE_COMMENT
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from backend.app import create_app
from backend.db import transaction
from backend.models import RunRow
from backend.runs import repository as runs
from backend.runs.stream import EventFeed
from backend.samples import repository as samples
from backend.schemas.event import CheckpointSaved, Log, StepFinished
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord
from backend.settings import Settings

Sessions = sessionmaker[Session]
MakeRun = Callable[..., RunRow]


def url(run_id: UUID, part: str) -> str:
    return f"/api/v1/runs/{run_id}/{part}"


def tell(sessions: Sessions, row: RunRow, *messages: str) -> None:
    for message in messages:
        with transaction(sessions) as session:
            runs.append_event(session, run_id=row.id, attempt=row.attempt, body=Log(message=message))


def end(sessions: Sessions, row: RunRow) -> None:
    with transaction(sessions) as session:
        runs.finish(session, run_id=row.id, attempt=row.attempt, status=RunStatus.SUCCEEDED)


def sent(text: str) -> list[tuple[int, dict[str, Any]]]:
    """The events of a stream: number and body."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((int(fields["id"]), json.loads(fields["data"])["body"]))
    return found


def test_events_are_read_in_order_page_by_page(api: TestClient, sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    tell(sessions, row, "a", "b", "c")
    seen: list[int] = []
    after = 0
    while True:
        page = api.get(url(row.id, "events"), params={"after": after, "limit": 2}).json()
        seen += [event["seq"] for event in page["data"]]
        if not page["has_more"]:
            break
        after = page["next_cursor"]
    assert seen == [1, 2, 3, 4, 5]
    page = api.get(url(row.id, "events"), params={"after": 5}).json()
    assert page == {"data": [], "has_more": False, "next_cursor": None}


def test_a_stream_of_a_finished_run_tells_all_and_closes(
    api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    row = make_run(worker="w")
    tell(sessions, row, "a")
    end(sessions, row)
    response = api.get(url(row.id, "events/stream"))
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    events = sent(response.text)
    assert [seq for seq, _ in events] == [1, 2, 3, 4]
    assert events[-1][1]["status"] == "succeeded"


def test_a_stream_goes_on_after_the_last_event_that_arrived(
    api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    row = make_run(worker="w")
    tell(sessions, row, "a")
    end(sessions, row)
    response = api.get(url(row.id, "events/stream"), params={"after": 1}, headers={"Last-Event-ID": "3"})
    assert [seq for seq, _ in sent(response.text)] == [4]


def test_a_browser_that_has_heard_all_is_told_not_to_connect_again(
    api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    row = make_run(worker="w")
    end(sessions, row)
    response = api.get(url(row.id, "events/stream"), headers={"Last-Event-ID": "3"})
    assert (response.status_code, response.content) == (204, b"")


def test_a_stream_pings_while_nothing_happens_and_tells_what_does(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    feed = EventFeed(sessions, poll_seconds=0.01, ping_seconds=0.05)

    async def listen() -> list[bytes]:
        chunks = []
        async for chunk in feed.stream(row.id, 2):
            chunks.append(chunk)
            # What happens, happens only once the stream has pinged: it was open and waiting.
            if chunk == KEEPALIVE_COMMENT and chunks.count(chunk) == 2:
                tell(sessions, row, "a", "b")
                end(sessions, row)
        return chunks

    chunks = asyncio.run(listen())
    assert chunks[0] == b"retry: 1000\n\n"
    assert chunks[1:3] == [KEEPALIVE_COMMENT, KEEPALIVE_COMMENT]
    told = sent(b"".join(chunks).decode())
    assert [seq for seq, _ in told] == [3, 4, 5]
    assert told[0][1] == {"type": "log", "level": "info", "message": "a"}


def test_a_stream_survives_a_database_that_is_away_for_a_while(
    sessions: Sessions, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_run(worker="w")
    feed = EventFeed(sessions, poll_seconds=0.01, ping_seconds=0.05)
    real, failures = runs.heads_of, [OperationalError("s", None, Exception("away"))] * 3

    def heads_of(session: Session, *, run_ids: list[UUID]) -> dict[UUID, int]:
        if failures:
            raise failures.pop()
        if not runs.get_run(session, run_id=row.id).run_status.is_terminal:
            end(sessions, row)
        return real(session, run_ids=run_ids)

    monkeypatch.setattr(runs, "heads_of", heads_of)

    async def listen() -> list[bytes]:
        return [chunk async for chunk in feed.stream(row.id, 2)]

    assert [seq for seq, _ in sent(b"".join(asyncio.run(listen())).decode())] == [3]
    assert not failures


def test_a_feed_that_is_closed_reads_no_more(sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    feed = EventFeed(sessions, poll_seconds=0.01, ping_seconds=0.05)

    async def listen_and_close() -> None:
        await feed.close()
        async for chunk in feed.stream(row.id, 2):
            if chunk == KEEPALIVE_COMMENT:
                break
        assert feed._poller is not None
        assert not feed._poller.done()
        await feed.close()
        assert feed._poller.done()

    asyncio.run(listen_and_close())


def test_a_stopped_app_leaves_no_connection_open(settings: Settings) -> None:
    app = create_app(settings)
    connections: list[Any] = []
    is_held = threading.Event()

    def read() -> None:
        with app.state.engine.connect() as connection:
            connections.append(connection.connection.driver_connection)
            is_held.set()
            time.sleep(0.3)

    reader = threading.Thread(target=read)
    with TestClient(app, base_url="http://testserver"):
        reader.start()
        assert is_held.wait(10)
    reader.join()
    assert connections[0].closed


def test_listeners_that_wait_hold_no_connection(
    app: FastAPI, api: TestClient, sessions: Sessions, make_run: MakeRun
) -> None:
    rows = [make_run(worker=f"w{number}") for number in range(3)]
    answers: list[int] = []

    def listen(row: RunRow) -> None:
        answers.append(len(sent(api.get(url(row.id, "events/stream")).text)))

    threads = [threading.Thread(target=listen, args=(rows[number % 3],)) for number in range(30)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while sum(app.state.feed._watched.values()) < 30 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sum(app.state.feed._watched.values()) == 30
    time.sleep(0.3)
    # At most the poller's own, for a moment: the pool has 20.
    assert app.state.engine.pool.checkedout() <= 1
    assert api.get("/api/v1/runs").status_code == 200
    for row in rows:
        end(sessions, row)
    for thread in threads:
        thread.join()
    assert answers == [3] * 30
    assert not app.state.feed._watched


def test_a_streamed_step_has_no_groups(
    api: TestClient, sessions: Sessions, make_run: MakeRun, make_group: Callable[..., GroupRecord]
) -> None:
    row = make_run(worker="w")
    body = StepFinished(step=1, num_steps=2, metrics={"loss": 0.5}, groups=(make_group(),), seconds=1)
    with transaction(sessions) as session:
        runs.append_event(session, run_id=row.id, attempt=1, body=body)
    end(sessions, row)
    told = sent(api.get(url(row.id, "events/stream")).text)[2][1]
    assert (told["metrics"], told["groups"]) == ({"loss": 0.5}, [])


def test_checkpoints_are_listed_from_the_newest_on(api: TestClient, sessions: Sessions, make_run: MakeRun) -> None:
    row = make_run(worker="w")
    for step in (10, 20, 30):
        saved = CheckpointSaved(step=step, sha256="s", num_bytes=5, state_hash="h", path="p")
        with transaction(sessions) as session:
            samples.add_checkpoint(session, run_id=row.id, attempt=1, saved=saved)
    page = api.get(url(row.id, "checkpoints"), params={"limit": 2}).json()
    rest = api.get(url(row.id, "checkpoints"), params={"after": page["next_cursor"]}).json()
    assert [each["step"] for each in page["data"] + rest["data"]] == [30, 20, 10]
    assert (page["has_more"], rest["has_more"]) == (True, False)


def test_the_log_is_read_in_parts_that_join(api: TestClient, make_run: MakeRun, tmp_path: Path) -> None:
    row = make_run(worker="w")
    assert api.get(url(row.id, "log")).json() == {"text": "", "offset": 0, "next_offset": 0, "num_bytes": 0}
    folder = tmp_path / "runs" / str(row.id)
    folder.mkdir(parents=True)
    text = "Schritt 1: größer\n" * 20
    (folder / "log.txt").write_text(text)
    joined, offset = "", 0
    while True:
        part = api.get(url(row.id, "log"), params={"offset": offset, "max_bytes": 7}).json()
        if not part["text"]:
            break
        joined, offset = joined + part["text"], part["next_offset"]
    assert joined == text
    tail = api.get(url(row.id, "log"), params={"max_bytes": 9}).json()
    assert (tail["text"], tail["num_bytes"]) == (": größer\n"[-7:], len(text.encode()))
