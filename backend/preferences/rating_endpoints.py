"""/api/v1/rating: the rater's door. It tells prompts and pictures, and nothing of what made them."""

from __future__ import annotations

import io
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from PIL import Image
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from backend.artifacts import run_folder
from backend.dependencies import IdempotencyKey
from backend.errors import GoneError
from backend.idempotency import once
from backend.models import LabelTaskRow, RaterRow
from backend.preferences import serving, voting
from backend.preferences.refusals import DoorRoute
from backend.preferences.tokens import DOOR, DoorDep, is_swapped
from backend.schemas.preference import (
    BlindPair,
    BlindPairs,
    FlagCreate,
    RaterVote,
    RatingTask,
    TaskStatus,
    VotePut,
)

router = APIRouter(prefix="/rating", tags=["rating"], route_class=DoorRoute)

MOST_PAIRS = 20
_PNG = b"\x89PNG\r\n\x1a\n"
_OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


@router.get("")
async def get_rating_task(door: DoorDep) -> RatingTask:
    """What to look at, and how far this rater is."""

    def read(session: Session, rater: RaterRow, task: LabelTaskRow) -> RatingTask:
        num_done, num_open = serving.progress_of(session, task, rater)
        return RatingTask(
            guideline=task.guidelines[-1],
            guideline_version=len(task.guidelines),
            status=TaskStatus(task.status),
            num_done=num_done,
            num_wanted=num_done + num_open,
        )

    return await door.do(read)


@router.get("/next")
async def next_pairs(door: DoorDep, count: Annotated[int, Query(ge=1, le=MOST_PAIRS)] = 2) -> BlindPairs:
    """The next pairs, this rater's for ten minutes. 410 once the task is closed."""

    pairs = await door.do_quickly(lambda lane, rater_id: serving.next_pairs(lane, rater_id, count=count))
    return BlindPairs(data=[_blind(pair) for pair in pairs])


@router.get("/pictures/{pair_id}/{side}", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def get_picture(door: DoorDep, pair_id: UUID, side: Literal["left", "right"]) -> Response:
    """A picture of a pair as this rater sees it: no name, no tag, no text in the file."""

    def read(lane: Engine, rater_id: UUID) -> bytes:
        is_first = (side == "left") is not is_swapped(rater_id, pair_id)
        run_id, path = serving.picture_of(lane, rater_id, pair_id, is_first=is_first)
        try:
            return _bare(run_folder(door.settings.runs_dir, run_id).read(path))
        except FileNotFoundError:
            raise GoneError("this picture is gone: flag the pair or skip it") from None

    headers = {"Cache-Control": "private, max-age=3600", "Vary": "Authorization"}
    return Response(await door.do_quickly(read), media_type="image/png", headers=headers)


@router.put("/votes/{vote_id}")
async def put_vote(door: DoorDep, vote_id: UUID, wanted: VotePut) -> RaterVote:
    """A vote under a UUID of the rater's: the same request any number of times is one vote."""
    stored = await door.do_quickly(lambda lane, rater_id: voting.store_vote(lane, rater_id, vote_id, wanted))
    if stored is not None:
        return stored
    return await door.do(lambda session, rater, task: voting.explain(session, task, rater, vote_id, wanted))


@router.delete("/votes/{vote_id}")
async def undo_vote(door: DoorDep, vote_id: UUID) -> RaterVote:
    """Takes a vote back; it stays in the history, and the pair can be voted on anew."""
    return await door.do(lambda session, rater, task: voting.undo_vote(session, task, rater, vote_id))


@router.post("/flags", status_code=201)
async def flag_pair(door: DoorDep, wanted: FlagCreate, key: IdempotencyKey = None) -> FlagCreate:
    """Tells the task's owner that something is wrong with a pair."""

    def flag(session: Session, rater: RaterRow, task: LabelTaskRow) -> FlagCreate:
        def create() -> FlagCreate:
            voting.flag_pair(session, task, rater, wanted)
            return wanted

        request = f"POST /rating/flags {rater.id} {wanted.model_dump_json()}"
        return once(session, key, request, FlagCreate, create)

    return await door.do(flag)


def _blind(pair: serving.ShownPair) -> BlindPair:
    left, right = (f"{DOOR}/pictures/{pair.id}/{side}" for side in ("left", "right"))
    return BlindPair(pair_id=pair.id, prompt=pair.prompt, left_url=left, right_url=right)


def _bare(content: bytes) -> bytes:
    """The same pixels in a file without texts, times and whatever else a PNG may carry; other formats made anew."""
    if not content.startswith(_PNG):
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(content)) as picture:
            picture.convert("RGB").save(buffer, format="PNG")
        return buffer.getvalue()
    kept, place = [_PNG], len(_PNG)
    while place < len(content):
        # A chunk: length of its data, name, data, checksum.
        end = place + 12 + int.from_bytes(content[place : place + 4])
        if content[place + 4 : place + 8] in _OF_PIXELS:
            kept.append(content[place:end])
        place = end
    return b"".join(kept)
