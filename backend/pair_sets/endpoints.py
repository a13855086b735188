"""/api/v1/pair-sets: freeze votes, import and export pairs, list and remove sets."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

from backend.dependencies import (
    MAX_INTEGER,
    After,
    Limit,
    RunsDirDep,
    SessionDep,
    SettingsDep,
    decode_cursor,
    encode_cursor,
)
from backend.pair_sets import service
from backend.pair_sets.exports import RESPONSES, exported
from backend.pair_sets.folder import PairSets
from backend.pair_sets.freezing import voted_pairs
from backend.preferences.result_endpoints import ExcludeRater
from backend.schemas.base import Page
from backend.schemas.pair_set import FrozenPair, PairFormat, PairPart, PairSet, PairSetCreate

router = APIRouter(tags=["pair sets"])


def get_pair_sets(settings: SettingsDep) -> PairSets:
    """The studio's sets."""
    return PairSets(settings.data_dir.resolve() / "pair-sets")


PairSetsDep = Annotated[PairSets, Depends(get_pair_sets)]
Format = Annotated[PairFormat, Query(description="Pick-a-Pic and CSV have one row a vote, HPDv2 one entry a pair")]
Part = Annotated[PairPart | None, Query(description="Only prompts of this part; empty = all")]
WithPictures = Annotated[bool, Query(description="Only of csv: a zip of the table and its pictures")]
MADE: dict[int | str, dict[str, object]] = {
    200: {"model": PairSet, "description": "These pairs are a set already, under its first name"}
}
PICTURE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
PICTURE: dict[int | str, dict[str, object]] = {
    200: {"description": "The picture", "content": {kind: {} for kind in PICTURE_TYPES.values()}}
}


@router.post("/pair-sets", status_code=201, responses=MADE)
def create_pair_set(
    session: SessionDep, settings: SettingsDep, sets: PairSetsDep, response: Response, wanted: PairSetCreate
) -> PairSet:
    """Freezes a label task's votes as they are now, or imports a file or folder of the studio's machine.

    The same pairs are the same set, whoever asks and however often.
    """
    if wanted.path is not None:
        assert wanted.format is not None, "the schema sees to it"
        return _made(response, *service.import_from_path(sets, wanted.path, wanted.format, wanted.name))
    assert wanted.label_task_id is not None, "the schema sees to it"
    source = voted_pairs(session, settings.runs_dir, wanted.label_task_id, wanted.exclude_rater)
    return _made(response, *service.freeze(sets, source, wanted.name))


@router.post("/pair-sets/upload", status_code=201, responses=MADE)
def upload_pair_set(
    sets: PairSetsDep,
    response: Response,
    file: Annotated[UploadFile, Form(description="A Parquet file, an HPDv2 zip, or a zip of a CSV and its pictures")],
    format: Annotated[PairFormat, Form()],
    name: Annotated[str, Form(min_length=1, max_length=120)],
) -> PairSet:
    """Imports pairs of a file that is sent along. A bad row refuses the file, by row, column and cure."""
    with tempfile.NamedTemporaryFile(prefix="unmask-pairs-") as kept:
        # Readers seek and ask for the size; what came is on the disk already where it is large.
        shutil.copyfileobj(file.file, kept)
        kept.flush()
        called = Path(file.filename or "the upload").name
        return _made(response, *service.import_pairs(sets, Path(kept.name), called, format, name))


@router.get("/pair-sets")
def list_pair_sets(sets: PairSetsDep, limit: Limit = 20, after: After = None) -> Page[PairSet]:
    """Sets, the newest first."""
    place = decode_cursor(after, datetime.fromisoformat, str)
    found = [each for each in sets.all_sets() if place is None or (each.created_at, each.sha256) < place]
    shown, has_more = found[:limit], len(found) > limit
    cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].sha256) if has_more else None
    return Page(data=shown, has_more=has_more, next_cursor=cursor)


@router.get("/pair-sets/{sha256}")
def get_pair_set(session: SessionDep, sets: PairSetsDep, sha256: str) -> PairSet:
    """One set, and the runs that learn from it."""
    return service.with_use(session, sets.get(sha256))


@router.get("/pair-sets/{sha256}/pairs")
def list_pairs_of_set(sets: PairSetsDep, sha256: str, limit: Limit = 20, after: After = None) -> Page[FrozenPair]:
    """A set's pairs with their votes, in the order of its file."""
    place = decode_cursor(after, int)
    first = 0 if place is None else min(max(place[0], 0), MAX_INTEGER)
    found = service.some_pairs(sets, sha256, first, limit + 1)
    has_more = len(found) > limit
    return Page(data=found[:limit], has_more=has_more, next_cursor=encode_cursor(first + limit) if has_more else None)


@router.get("/pair-sets/{sha256}/pictures/{name}", response_class=FileResponse, responses=PICTURE)
def get_pair_set_picture(sets: PairSetsDep, sha256: str, name: str) -> FileResponse:
    """A picture of a set, by the name that its pairs give it; the same name is the same bytes for good."""
    path = sets.picture(sha256, name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=PICTURE_TYPES[path.suffix], headers=headers)


@router.delete("/pair-sets/{sha256}", status_code=204)
def delete_pair_set(session: SessionDep, sets: PairSetsDep, sha256: str) -> None:
    """Removes a set; 409 where a run's configuration names it."""
    service.delete(session, sets, sha256)


@router.get("/pair-sets/{sha256}/export", response_class=StreamingResponse, responses=RESPONSES)
def export_pair_set(
    sets: PairSetsDep, sha256: str, format: Format, part: Part = None, with_pictures: WithPictures = False
) -> StreamingResponse:
    """A set as a file for other programs."""
    name = f"{sets.get(sha256).name}-{sha256[:12]}"
    return exported(sets.read(sha256), name, format, part=part, with_pictures=with_pictures)


@router.get("/label-tasks/{task_id}/export", response_class=StreamingResponse, responses=RESPONSES)
def export_label_task(
    session: SessionDep,
    runs_dir: RunsDirDep,
    task_id: UUID,
    format: Format,
    part: Part = None,
    with_pictures: WithPictures = False,
    exclude_rater: ExcludeRater = None,
) -> StreamingResponse:
    """A label task's votes as they are now, as a file for other programs: what a pair set frozen now would hold."""
    source = voted_pairs(session, runs_dir, task_id, exclude_rater or ())
    name = source.about["label_task_name"]
    return exported(source, name, format, part=part, with_pictures=with_pictures)


def _made(response: Response, found: PairSet, is_new: bool) -> PairSet:
    response.headers["Location"] = f"/api/v1/pair-sets/{found.sha256}"
    if not is_new:
        response.status_code = 200
    return found
