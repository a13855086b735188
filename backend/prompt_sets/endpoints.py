"""/api/v1/prompt-sets: upload, read, edit, download and remove lists of prompts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Header, Query, Response, UploadFile

from backend.dependencies import (
    After,
    IdempotencyKey,
    Limit,
    RunsDirDep,
    SessionDep,
    decode_cursor,
    encode_cursor,
)
from backend.idempotency import once
from backend.prompt_files import sets_beside
from backend.prompt_sets import repository, service
from backend.prompt_sets.builtin import builtin_sets
from backend.prompt_sets.formats import read_prompts, write_prompts
from backend.schemas.base import Page
from backend.schemas.prompt_set import (
    MAX_FILE_BYTES,
    PromptEntry,
    PromptFormat,
    PromptSet,
    PromptSetCreate,
    PromptSetDetail,
    PromptSetEdit,
    SetName,
)

router = APIRouter(prefix="/prompt-sets", tags=["prompt sets"])

IfMatch = Annotated[str | None, Header(alias="If-Match", description="Answers 412 when it was edited meanwhile")]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Empty = the last one")]
MEDIA_TYPES = {
    PromptFormat.TEXT: "text/plain; charset=utf-8",
    PromptFormat.CSV: "text/csv; charset=utf-8",
    PromptFormat.JSONL: "application/x-ndjson",
}
ENDINGS = {PromptFormat.TEXT: "txt", PromptFormat.CSV: "csv", PromptFormat.JSONL: "jsonl"}


def get_folder(runs_dir: RunsDirDep) -> Path:
    """Where the versions' files lie."""
    return sets_beside(runs_dir.resolve())


Folder = Annotated[Path, Depends(get_folder)]


@router.post("", status_code=201)
def create_prompt_set(
    session: SessionDep, folder: Folder, response: Response, wanted: PromptSetCreate, key: IdempotencyKey = None
) -> PromptSetDetail:
    """Makes a set of a text with a prompt a line, a CSV, or JSON lines. A bad row refuses all, by row and cure."""

    def make() -> PromptSetDetail:
        return service.create(session, folder, wanted.name, read_prompts(wanted.content.encode(), wanted.format))

    made = once(session, key, f"POST /prompt-sets {wanted.model_dump_json()}", PromptSetDetail, make)
    response.headers["Location"] = f"/api/v1/prompt-sets/{made.id}"
    return made


@router.post("/upload", status_code=201)
def upload_prompt_set(
    session: SessionDep,
    folder: Folder,
    response: Response,
    file: Annotated[UploadFile, Form(description="UTF-8 text, CSV or JSON lines; GenEval's own file is one of these")],
    format: Annotated[PromptFormat, Form()],
    name: Annotated[SetName, Form()],
    prompt_set_id: Annotated[UUID | None, Form(description="Makes the next version of this set instead")] = None,
    if_match: IfMatch = None,
) -> PromptSetDetail:
    """Makes a set, or the next version of one, of a file that is sent along."""
    prompts = read_prompts(file.file.read(MAX_FILE_BYTES + 1), format)
    if prompt_set_id is None:
        made = service.create(session, folder, name, prompts)
    else:
        note = f"uploaded from {Path(file.filename or 'a file').name}"[:300]
        made, response.headers["ETag"] = service.change(session, folder, prompt_set_id, name, prompts, note, if_match)
    response.headers["Location"] = f"/api/v1/prompt-sets/{made.id}"
    return made


@router.get("")
def list_prompt_sets(session: SessionDep, limit: Limit = 20, after: After = None) -> Page[PromptSet]:
    """Sets, the newest first; the shipped ones last."""
    place = decode_cursor(after, datetime.fromisoformat, UUID)
    where = None if place is None else (place[0], place[1])
    found = [service.set_of_rows(*rows) for rows in repository.list_sets(session, limit=limit + 1, after=where)]
    found += [each for each in builtin_sets() if where is None or (each.created_at, each.id) < where]
    shown, has_more = found[:limit], len(found) > limit
    cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].id) if has_more else None
    return Page(data=shown, has_more=has_more, next_cursor=cursor)


@router.get("/{set_id}")
def get_prompt_set(session: SessionDep, response: Response, set_id: UUID) -> PromptSetDetail:
    """A set, its versions, and the runs that name one."""
    detail, response.headers["ETag"] = service.get_detail(session, set_id)
    return detail


@router.patch("/{set_id}")
def edit_prompt_set(
    session: SessionDep,
    folder: Folder,
    response: Response,
    set_id: UUID,
    changes: PromptSetEdit,
    if_match: IfMatch = None,
) -> PromptSetDetail:
    """Renames a set, or replaces its prompts, which makes the next version; earlier ones stay."""
    detail, response.headers["ETag"] = service.edit(session, folder, set_id, changes, if_match)
    return detail


@router.get("/{set_id}/prompts")
def list_prompts(
    session: SessionDep,
    folder: Folder,
    set_id: UUID,
    version: Version = None,
    task: Annotated[str | None, Query(max_length=40, description="Only prompts of this task")] = None,
    limit: Limit = 20,
    after: After = None,
) -> Page[PromptEntry]:
    """The prompts of a version, in order."""
    _, prompts = service.prompts_of(session, folder, set_id, version)
    place = decode_cursor(after, int)
    start = 0 if place is None else max(0, place[0])
    chosen = [each for each in prompts if task is None or each.task == task]
    shown, has_more = chosen[start : start + limit], len(chosen) > start + limit
    data = [
        PromptEntry.model_construct(
            text=each.text, task=each.task, tags=each.tags, geneval=None if each.geneval is None else dict(each.geneval)
        )
        for each in shown
    ]
    return Page(data=data, has_more=has_more, next_cursor=encode_cursor(start + limit) if has_more else None)


@router.get(
    "/{set_id}/download",
    response_class=Response,
    responses={200: {"description": "The file", "content": {kind: {} for kind in MEDIA_TYPES.values()}}},
)
def download_prompt_set(
    session: SessionDep, folder: Folder, set_id: UUID, format: PromptFormat, version: Version = None
) -> Response:
    """A version as a file; JSON lines lose nothing, CSV loses GenEval's lines, text keeps the prompts alone."""
    detail, prompts = service.prompts_of(session, folder, set_id, version)
    number = version or detail.latest.version
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in detail.name).strip("-")
    headers = {"Content-Disposition": f'attachment; filename="{safe or "prompts"}-{number}.{ENDINGS[format]}"'}
    return Response(write_prompts(prompts, format), media_type=MEDIA_TYPES[format], headers=headers)


@router.delete("/{set_id}", status_code=204)
def delete_prompt_set(session: SessionDep, folder: Folder, set_id: UUID) -> None:
    """Removes a set with all versions; 409 names the runs whose configuration names one."""
    service.delete(session, folder, set_id)
