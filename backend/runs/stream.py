"""Live events for any number of listeners: one poller a process; who waits holds no connection and no thread."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from backend.runs import repository
from backend.schemas.event import Event, StatusChanged

EVENTS_A_READ = 200
RETRY_MILLISECONDS = 1000


class EventFeed:
    """Knows how far each watched run has come, and wakes those who wait for more."""

    def __init__(
        self, sessions: sessionmaker[Session], *, poll_seconds: float = 0.25, ping_seconds: float = 15.0
    ) -> None:
        self.sessions = sessions
        self.poll_seconds = poll_seconds
        self.ping_seconds = ping_seconds
        self._watched: Counter[UUID] = Counter()
        self._heads: dict[UUID, int] = {}
        self._news = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None

    async def stream(self, run_id: UUID, after: int) -> AsyncIterator[bytes]:
        """The run's events beyond `after` as server-sent events, until the one that ends the run."""
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        self._watched[run_id] += 1
        try:
            while True:
                events = await run_in_threadpool(self._read, run_id, after)
                for event in events:
                    yield format_sse_event(data_str=event.model_dump_json(), id=str(event.seq))
                    if isinstance(event.body, StatusChanged) and event.body.status.is_terminal:
                        return
                after = events[-1].seq if events else after
                if len(events) < EVENTS_A_READ and not await self._wait_beyond(run_id, after):
                    yield KEEPALIVE_COMMENT
        finally:
            self._leave(run_id)

    async def close(self) -> None:
        """Ends the poller, and waits until its read has given its connection back."""
        if self._poller is not None and not self._poller.done():
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller

    async def _wait_beyond(self, run_id: UUID, seq: int) -> bool:
        """Waits for an event beyond `seq`; False when a ping is due first."""
        try:
            async with asyncio.timeout(self.ping_seconds):
                while self._heads.get(run_id, 0) <= seq:
                    if self._poller is None or self._poller.done():
                        self._poller = asyncio.create_task(self._poll())
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        while self._watched:
            try:
                self._heads = await run_in_threadpool(self._read_heads, list(self._watched))
            except SQLAlchemyError:
                # The database is away: listeners keep waiting, and get what they missed when it is back.
                self._heads = {}
            self._news.set()
            self._news = asyncio.Event()
            await asyncio.sleep(self.poll_seconds)

    def _leave(self, run_id: UUID) -> None:
        self._watched[run_id] -= 1
        if self._watched[run_id] == 0:
            del self._watched[run_id]

    def _read(self, run_id: UUID, after: int) -> Sequence[Event]:
        with self.sessions() as session:
            rows = repository.list_events(session, run_id=run_id, after=after, limit=EVENTS_A_READ)
            return [row.to_wire() for row in rows]

    def _read_heads(self, run_ids: list[UUID]) -> dict[UUID, int]:
        with self.sessions() as session:
            return repository.heads_of(session, run_ids=run_ids)
