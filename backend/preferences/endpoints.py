"""/api/v1/label-tasks and /raters: what a task's owner does and sees."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from backend.dependencies import After, IdempotencyKey, Limit, RunsDirDep, SessionDep, decode_cursor, encode_cursor
from backend.idempotency import once
from backend.preferences import asking, repository, service
from backend.schemas.base import Page
from backend.schemas.preference import (
    LabelTask,
    LabelTaskCreate,
    LabelTaskEdit,
    NewRater,
    PairFlag,
    Rater,
    RaterCreate,
    RaterEdit,
    SamplesForPeople,
    TaskStatus,
    Vote,
)

router = APIRouter(tags=["preferences"])

IfMatch = Annotated[str | None, Header(alias="If-Match", description="Answers 412 when it was edited meanwhile")]


@router.post("/label-tasks", status_code=201)
def create_label_task(
    session: SessionDep, runs_dir: RunsDirDep, response: Response, wanted: LabelTaskCreate, key: IdempotencyKey = None
) -> LabelTask:
    """Makes pairs of a source and asks people about them; add raters next."""
    request = f"POST /label-tasks {wanted.model_dump_json()}"
    task = once(session, key, request, LabelTask, lambda: service.create_task(session, wanted, runs_dir))
    response.headers["Location"] = f"/api/v1/label-tasks/{task.id}"
    return task


@router.post("/runs/{run_id}/label-tasks", status_code=201)
def ask_people(
    session: SessionDep,
    runs_dir: RunsDirDep,
    response: Response,
    run_id: UUID,
    wanted: SamplesForPeople | None = None,
    key: IdempotencyKey = None,
) -> LabelTask:
    """Asks people about some samples of a run: a label task whose pairs, name and guideline the studio chooses.

    Of a training run its newest probe against its first on the same seeds; without two probes, samples of one prompt
    out of its newest groups. Of an evaluation two of its policies, of a sample run two seeds of one prompt.
    """
    wanted = wanted or SamplesForPeople()
    request = f"POST /runs/{run_id}/label-tasks {wanted.model_dump_json()}"
    task = once(session, key, request, LabelTask, lambda: asking.ask_people(session, run_id, wanted, runs_dir))
    response.headers["Location"] = f"/api/v1/label-tasks/{task.id}"
    return task


@router.get("/label-tasks")
def list_label_tasks(
    session: SessionDep,
    limit: Limit = 20,
    after: After = None,
    status: Annotated[TaskStatus | None, Query(description="Only these")] = None,
) -> Page[LabelTask]:
    """Label tasks, the newest first."""
    place = decode_cursor(after, datetime.fromisoformat, UUID)
    rows = repository.list_tasks(
        session, limit=limit + 1, after=None if place is None else (place[0], place[1]), status=status
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].id) if has_more else None
    return Page(data=service.tasks_of(session, shown), has_more=has_more, next_cursor=cursor)


@router.get("/label-tasks/{task_id}")
def get_label_task(session: SessionDep, response: Response, task_id: UUID) -> LabelTask:
    """A label task and how far it is."""
    row = repository.get_task(session, task_id=task_id)
    response.headers["ETag"] = service.etag_of(row)
    return service.tasks_of(session, [row])[0]


@router.patch("/label-tasks/{task_id}")
def edit_label_task(
    session: SessionDep, response: Response, task_id: UUID, changes: LabelTaskEdit, if_match: IfMatch = None
) -> LabelTask:
    """Changes name, guideline (the next version) or status. With If-Match, only when nobody else did so since."""
    row = service.edit_task(session, task_id, changes, if_match)
    response.headers["ETag"] = service.etag_of(row)
    return service.tasks_of(session, [row])[0]


@router.post("/label-tasks/{task_id}/raters", status_code=201)
def create_rater(
    session: SessionDep, response: Response, task_id: UUID, wanted: RaterCreate, key: IdempotencyKey = None
) -> NewRater:
    """Makes a rater. The token and the link are in this answer only: the studio keeps their hash."""
    rater = service.create_rater(session, task_id, wanted, key)
    response.headers["Location"] = f"/api/v1/raters/{rater.id}"
    return rater


@router.get("/label-tasks/{task_id}/raters")
def list_raters(session: SessionDep, task_id: UUID, limit: Limit = 20, after: After = None) -> Page[Rater]:
    """A task's raters, the first one first."""
    repository.get_task(session, task_id=task_id)
    place = decode_cursor(after, UUID)
    rows = repository.list_raters(session, task_id=task_id, limit=limit + 1, after=None if place is None else place[0])
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1][0].id) if has_more else None
    return Page(data=[service.rater_of_row(*row) for row in shown], has_more=has_more, next_cursor=cursor)


@router.get("/raters/{rater_id}")
def get_rater(session: SessionDep, response: Response, rater_id: UUID) -> Rater:
    """A rater and how many votes of theirs stand."""
    rater = service.get_rater(session, rater_id)
    response.headers["ETag"] = service.etag_of_rater(rater)
    return rater


@router.patch("/raters/{rater_id}")
def edit_rater(
    session: SessionDep, response: Response, rater_id: UUID, changes: RaterEdit, if_match: IfMatch = None
) -> Rater:
    """Renames a rater, withdraws the link, or leaves the votes out of all figures; no vote is ever removed.

    With If-Match, only when nobody else edited the rater since.
    """
    rater = service.edit_rater(session, rater_id, changes, if_match)
    response.headers["ETag"] = service.etag_of_rater(rater)
    return rater


@router.get("/label-tasks/{task_id}/votes")
def list_votes(session: SessionDep, task_id: UUID, limit: Limit = 20, after: After = None) -> Page[Vote]:
    """All votes in the order in which they came, undone ones too."""
    repository.get_task(session, task_id=task_id)
    place = decode_cursor(after, datetime.fromisoformat, UUID)
    rows = repository.list_votes(
        session, task_id=task_id, limit=limit + 1, after=None if place is None else (place[0], place[1])
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1][0].created_at.isoformat(), shown[-1][0].id) if has_more else None
    return Page(data=[service.vote_of_row(*row) for row in shown], has_more=has_more, next_cursor=cursor)


@router.get("/label-tasks/{task_id}/flags")
def list_flags(session: SessionDep, task_id: UUID, limit: Limit = 20, after: After = None) -> Page[PairFlag]:
    """The pairs that raters found something wrong with."""
    repository.get_task(session, task_id=task_id)
    place = decode_cursor(after, UUID)
    rows = repository.list_flags(session, task_id=task_id, limit=limit + 1, after=None if place is None else place[0])
    has_more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(shown[-1][0].id) if has_more else None
    return Page(data=[service.flag_of_row(*row) for row in shown], has_more=has_more, next_cursor=cursor)
