"""/api/v1/reward-tests: a picture and a prompt against every reward."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from sqlalchemy.orm import Session

from backend import queue
from backend.dependencies import RunsDirDep, SessionDep
from backend.reward_models.service import list_rewards, newest_proven
from backend.reward_tests.folder import FOLDER, SENT, RewardTestFolder, create_test, find_test, sent_picture
from backend.runs.aliases import freeze
from backend.samples import repository as samples
from backend.samples.files import files_of
from backend.samples.frames import refuse_without_worker
from backend.schemas.known_reward import Availability
from backend.schemas.reward import RewardConfig, RewardName
from backend.schemas.reward_test import RewardTest, RewardTestCreate

# So many learned rewards are asked where none is named: each reads weights of its own.
NUM_LEARNED = 3

router = APIRouter(prefix="/reward-tests", tags=["rewards"])


@router.post("", status_code=201)
def create_reward_test(
    session: SessionDep, runs_dir: RunsDirDep, response: Response, wanted: RewardTestCreate
) -> RewardTest:
    """Asks rewards about a picture; read the test until it is done. Without rewards, all that are here are asked,
    of learned ones the newest three that are better than chance.

    An alias is replaced by the reward model that it means now.
    """
    refuse_without_worker(session)
    picture = _picture(session, runs_dir, wanted)
    if not wanted.rewards:
        wanted = wanted.model_copy(update={"rewards": _all_here(session, runs_dir)})
    wanted = freeze(session, wanted, pointer="")
    folder = create_test(runs_dir.parent / FOLDER, wanted, picture)
    _send(folder)
    response.headers["Location"] = f"/api/v1/reward-tests/{folder.id}"
    return folder.to_wire()


@router.get("/{test_id}")
def get_reward_test(session: SessionDep, runs_dir: RunsDirDep, test_id: UUID) -> RewardTest:
    """How far the test is, and what was found. 503 while it waits for a worker that is not there."""
    folder = find_test(runs_dir.parent / FOLDER, test_id)
    if folder.wants_message:
        refuse_without_worker(session)
        _send(folder)
    return folder.to_wire()


@router.get("/{test_id}/pictures/{name}", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def get_reward_test_picture(
    runs_dir: RunsDirDep, test_id: UUID, name: Annotated[str, PathParameter(pattern="^[a-z0-9_]{1,20}$")]
) -> Response:
    """The picture as it is (`picture`), or one of its variants."""
    content = find_test(runs_dir.parent / FOLDER, test_id).picture(name)
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=31536000, immutable"})


def _picture(session: Session, runs_dir: Path, wanted: RewardTestCreate) -> bytes:
    if wanted.image is not None:
        return sent_picture(wanted.image)
    assert wanted.sample_id is not None, "the schema asks for either"
    return files_of(runs_dir, *samples.get_sample(session, sample_id=wanted.sample_id)).image()


def _all_here(session: Session, runs_dir: Path) -> tuple[RewardConfig, ...]:
    """Every reward that needs nothing more; of learned ones the newest that may be trained on."""
    named = [
        RewardConfig(name=each.name, source=each.source)
        for each in list_rewards(session, runs_dir)
        if each.availability is Availability.HERE and each.name is not RewardName.LEARNED
    ]
    learned = newest_proven(session, runs_dir, limit=NUM_LEARNED)
    return (*named, *(RewardConfig(name=RewardName.LEARNED, source=source) for source in learned))


def _send(folder: RewardTestFolder) -> None:
    if queue.send_interactive(queue.TEST_REWARDS, folder.id):
        folder.mark(SENT)
