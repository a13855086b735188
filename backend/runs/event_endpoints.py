"""/api/v1/runs/{id}/...: what a run tells: events, live events, alarms, metrics, checkpoints, log."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session, sessionmaker

from backend.dependencies import (
    MAX_INTEGER,
    After,
    Limit,
    RunsDirDep,
    SessionDep,
    decode_cursor,
    encode_cursor,
    sessions_of,
)
from backend.runs import repository
from backend.runs.log_file import read_log
from backend.runs.standing import standing_alarms
from backend.schemas.base import Page
from backend.schemas.event import Event
from backend.schemas.run import Checkpoint, MetricPoint, MetricSeries, RunLog

router = APIRouter(prefix="/runs/{run_id}", tags=["runs"])

AfterEvent = Annotated[int, Query(ge=0, le=MAX_INTEGER, description="Only events with a higher number")]
LastEventID = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, le=MAX_INTEGER, description="The number of the last event that arrived"),
]


@router.get("/events")
def list_events(
    session: SessionDep, run_id: UUID, after: AfterEvent = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Page[Event]:
    """Events in order; `next_cursor` is the number to give as `after`."""
    repository.get_run(session, run_id=run_id)
    rows = repository.list_events(session, run_id=run_id, after=after, limit=limit + 1)
    has_more = len(rows) > limit
    shown = rows[:limit]
    cursor = str(shown[-1].seq) if has_more else None
    return Page(data=[row.to_wire() for row in shown], has_more=has_more, next_cursor=cursor)


@router.get("/alarms")
def list_alarms(session: SessionDep, run_id: UUID) -> Page[Event]:
    """The alarms that still stand, the newest first, each thing once and all on one page."""
    return Page(data=standing_alarms(session, run_id), has_more=False, next_cursor=None)


@router.get(
    "/events/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `id` is the event's number, `data` an Event as JSON",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "The run is over and all its events have been sent: do not connect again"},
    },
)
async def stream_events(
    request: Request, run_id: UUID, after: AfterEvent = 0, last_event_id: LastEventID = None
) -> Response:
    """Events as they happen, until the one that ends the run; goes on after Last-Event-ID."""
    begin = after if last_event_id is None else last_event_id
    if await run_in_threadpool(_is_told, sessions_of(request), run_id, begin):
        return Response(status_code=204)
    return StreamingResponse(
        request.app.state.feed.stream(run_id, begin),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/metrics")
def list_metrics(
    session: SessionDep,
    run_id: UUID,
    keys: Annotated[str | None, Query(max_length=2000, description="Names, separated by commas; empty = all")] = None,
    after_step: Annotated[int, Query(ge=-1, le=MAX_INTEGER, description="Only later steps")] = -1,
    max_points: Annotated[int, Query(ge=1, le=2000)] = 2000,
) -> MetricSeries:
    """Metrics by step, thinned evenly to `max_points`; ask again with `after_step=last_step` for what is new.

    With `keys`, only steps that have one of them. Held-out probes stand as heldout/overall and heldout/strict; they
    are added to their step a while after it, and step 0 has those of the base.
    """
    repository.get_run(session, run_id=run_id)
    wanted = {key.strip() for key in keys.split(",") if key.strip()} if keys else set()
    rows, is_thinned = repository.list_metrics(
        session, run_id=run_id, after_step=after_step, max_points=max_points, keys=wanted
    )
    points = [
        MetricPoint(step=step, values={k: v for k, v in values.items() if not wanted or k in wanted})
        for step, values in rows
    ]
    return MetricSeries(
        run_id=run_id,
        keys=tuple(sorted({key for point in points for key in point.values})),
        last_step=points[-1].step if points else after_step,
        is_downsampled=is_thinned,
        points=points,
    )


@router.get("/checkpoints")
def list_checkpoints(session: SessionDep, run_id: UUID, limit: Limit = 20, after: After = None) -> Page[Checkpoint]:
    """Checkpoints that can be resumed from, the newest first."""
    repository.get_run(session, run_id=run_id)
    place = decode_cursor(after, int)
    before = None if place is None else place[0]
    rows = repository.list_checkpoints(session, run_id=run_id, before_step=before, limit=limit + 1)
    has_more = len(rows) > limit
    shown = rows[:limit]
    cursor = encode_cursor(shown[-1].step) if has_more else None
    return Page(data=[row.to_wire() for row in shown], has_more=has_more, next_cursor=cursor)


@router.get("/log")
def get_log(
    session: SessionDep,
    runs_dir: RunsDirDep,
    run_id: UUID,
    offset: Annotated[int | None, Query(ge=0, description="First byte; empty = the file's last `max_bytes`")] = None,
    max_bytes: Annotated[int, Query(ge=1, le=1_000_000)] = 65_536,
) -> RunLog:
    """The job's log; empty while nothing was written."""
    repository.get_run(session, run_id=run_id)
    return read_log(runs_dir, run_id, offset=offset, max_bytes=max_bytes)


def _is_told(sessions: sessionmaker[Session], run_id: UUID, after: int) -> bool:
    with sessions() as session:
        row = repository.get_run(session, run_id=run_id)
        return row.run_status.is_terminal and row.num_events <= after
