"""/api/v1/models: what runs can start from or be rewarded by; lineage, users, download, deletion."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi import Path as FromPath
from fastapi.responses import StreamingResponse

from backend.dependencies import After, Limit, RunsDirDep, SessionDep, decode_cursor
from backend.errors import ConflictError
from backend.registry import deletion, lineage, service
from backend.registry.refs import model_folder, read_ref
from backend.schemas.base import Page
from backend.schemas.registry import Lineage, Model, ModelImport, ModelKind, ModelUser
from backend.zip_stream import zip_of_folder

router = APIRouter(prefix="/models", tags=["models"])

Ref = Annotated[str, FromPath(description="A model's `source`, percent-encoded", max_length=1000)]


@router.get("")
def list_models(
    session: SessionDep,
    runs_dir: RunsDirDep,
    limit: Limit = 20,
    after: After = None,
    kind: Annotated[list[ModelKind] | None, Query(description="Only these; may be repeated")] = None,
) -> Page[Model]:
    """Shipped and imported models, then what runs made, the newest run first; a page is `limit` runs."""
    place = decode_cursor(after, datetime.fromisoformat, UUID)
    where = None if place is None else (place[0], place[1])
    return service.list_models(session, runs_dir, limit=limit, after=where, kinds=kind or ())


@router.post("", status_code=201)
def import_model(session: SessionDep, response: Response, wanted: ModelImport) -> Model:
    """Enters a folder of the server or a hub name as a model; nothing is copied. 409 where it is entered already."""
    model = service.import_model(session, wanted)
    response.headers["Location"] = f"/api/v1/models/{quote(model.source, safe='')}"
    return model


@router.get("/{ref:path}/lineage")
def get_lineage(session: SessionDep, runs_dir: RunsDirDep, ref: Ref) -> Lineage:
    """What the model was made from and what was made from it, as nodes and edges."""
    found = read_ref(ref)
    service.get_model(session, runs_dir, found)
    return lineage.trace(session, found)


@router.get("/{ref:path}/users")
def list_users(session: SessionDep, runs_dir: RunsDirDep, ref: Ref) -> list[ModelUser]:
    """What refers to the model, so that it may not be deleted: aliases, runs, evaluations, label tasks."""
    found = read_ref(ref)
    service.get_model(session, runs_dir, found)
    return deletion.users_of(session, found)


@router.get(
    "/{ref:path}/download",
    response_class=StreamingResponse,
    responses={200: {"description": "A zip archive", "content": {"application/zip": {}}}},
)
def download_model(session: SessionDep, runs_dir: RunsDirDep, ref: Ref) -> StreamingResponse:
    """The model's folder as a zip: a policy in Show-o's published format, with LoRA the adapter in peft's."""
    found = read_ref(ref)
    model = service.get_model(session, runs_dir, found)
    folder = model_folder(found, runs_dir)
    if not folder.is_dir():
        raise ConflictError(f"the files of {model.source!r} are not on this server: there is no folder {folder}")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.name).strip("-") or "model"
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(zip_of_folder(folder, name), media_type="application/zip", headers=headers)


@router.get("/{ref:path}")
def get_model(session: SessionDep, runs_dir: RunsDirDep, ref: Ref) -> Model:
    """One model."""
    return service.get_model(session, runs_dir, read_ref(ref))


@router.delete("/{ref:path}", status_code=204)
def delete_model(session: SessionDep, runs_dir: RunsDirDep, ref: Ref) -> None:
    """Deletes a checkpoint or an export with its files, or an import's entry; 409 names whatever uses it."""
    deletion.delete_model(session, runs_dir, read_ref(ref))
