"""/api/v1/runs: create, list, look at, edit, and what people ask of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from backend.dependencies import (
    After,
    IdempotencyKey,
    Limit,
    RunsDirDep,
    SessionDep,
    decode_cursor,
    encode_cursor,
    etag_matches,
)
from backend.idempotency import once
from backend.models import RunRow
from backend.runs import repository, service
from backend.runs.aliases import freeze
from backend.runs.preview import preview
from backend.schemas.base import Page
from backend.schemas.every_run import RunKind
from backend.schemas.run import Run, RunClone, RunCreate, RunEdit, RunPreview, RunStatus

router = APIRouter(prefix="/runs", tags=["runs"])

IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="Answers 304 when nothing changed")]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="Answers 412 when it was edited meanwhile")]


@router.post("", status_code=201)
def create_run(
    session: SessionDep, runs_dir: RunsDirDep, response: Response, wanted: RunCreate, key: IdempotencyKey = None
) -> Run:
    """Queues a run. The answer is the run itself; a worker takes it up as soon as one is free.

    Own prompts with words that the policy cannot read are no error: an alarm among the run's first events says so.
    """
    request = f"POST /runs {wanted.model_dump_json()}"
    run = once(session, key, request, Run, lambda: service.create_run(session, runs_dir, wanted))
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return run


@router.post("/preview")
def preview_run(session: SessionDep, runs_dir: RunsDirDep, wanted: RunCreate) -> RunPreview:
    """Checks a configuration without running it: complete, as YAML, with warnings; aliases are replaced."""
    return preview(freeze(session, wanted.config), runs_dir)


@router.get("")
def list_runs(
    session: SessionDep,
    limit: Limit = 20,
    after: After = None,
    status: Annotated[list[RunStatus] | None, Query(description="Only these; may be repeated")] = None,
    kind: Annotated[list[RunKind] | None, Query(description="Only these; may be repeated")] = None,
    tag: Annotated[str | None, Query(max_length=60)] = None,
    search: Annotated[str | None, Query(max_length=120, description="Part of the name, or a whole tag")] = None,
) -> Page[Run]:
    """Runs, the newest first."""
    place = decode_cursor(after, datetime.fromisoformat, UUID)
    rows = repository.list_runs(
        session,
        limit=limit + 1,
        after=None if place is None else (place[0], place[1]),
        statuses=status or (),
        kinds=kind or (),
        tag=tag,
        search=search,
    )
    has_more = len(rows) > limit
    shown = rows[:limit]
    cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].id) if has_more else None
    return Page(data=[row.to_wire() for row in shown], has_more=has_more, next_cursor=cursor)


@router.get("/{run_id}", responses={304: {"description": "Nothing changed"}})
def get_run(session: SessionDep, response: Response, run_id: UUID, if_none_match: IfNoneMatch = None) -> Run:
    """One run."""
    row = repository.get_run(session, run_id=run_id)
    etag = service.etag_of(row)
    if etag_matches(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})  # type: ignore[return-value]
    return _answer(response, row)


@router.patch("/{run_id}")
def edit_run(session: SessionDep, response: Response, run_id: UUID, changes: RunEdit, if_match: IfMatch = None) -> Run:
    """Changes name or tags. With If-Match, only when nobody else changed them since."""
    return _answer(response, service.edit_run(session, run_id, changes, if_match))


@router.post("/{run_id}/cancel")
def cancel_run(session: SessionDep, response: Response, run_id: UUID) -> Run:
    """Cancels: at once while no worker holds the run, else after the step in hand."""
    return _answer(response, repository.request_cancel(session, run_id=run_id))


@router.post("/{run_id}/pause")
def pause_run(session: SessionDep, response: Response, run_id: UUID) -> Run:
    """Pauses: at once while no worker holds the run, else after the step in hand, with a checkpoint."""
    return _answer(response, repository.request_pause(session, run_id=run_id))


@router.post("/{run_id}/resume")
def resume_run(session: SessionDep, response: Response, run_id: UUID) -> Run:
    """Queues a paused run again; it goes on exactly where it stopped."""
    return _answer(response, service.resume_run(session, run_id))


@router.post("/{run_id}/save-checkpoint")
def save_checkpoint(session: SessionDep, response: Response, run_id: UUID) -> Run:
    """Asks for a checkpoint after the step in hand. Only train and pretrain runs write any: 409 for other kinds."""
    return _answer(response, repository.request_save(session, run_id=run_id))


@router.post("/{run_id}/sample-now")
def sample_now(session: SessionDep, response: Response, run_id: UUID) -> Run:
    """Asks for pictures of the policy as it is after the step in hand; 409 for kinds whose policy does not change."""
    return _answer(response, repository.request_sample(session, run_id=run_id))


@router.post("/{run_id}/clone", status_code=201)
def clone_run(
    session: SessionDep,
    runs_dir: RunsDirDep,
    response: Response,
    run_id: UUID,
    changes: RunClone | None = None,
    key: IdempotencyKey = None,
) -> Run:
    """Queues a new run with this one's configuration, or a changed one."""
    wanted = changes or RunClone()
    request = f"POST /runs/{run_id}/clone {wanted.model_dump_json()}"
    run = once(session, key, request, Run, lambda: service.clone_run(session, runs_dir, run_id, wanted))
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return run


def _answer(response: Response, row: RunRow) -> Run:
    response.headers["ETag"] = service.etag_of(row)
    return row.to_wire()
