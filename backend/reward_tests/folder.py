"""Where a reward test lies: DATA_DIR/reward-tests/<id>/ with its request, pictures and result. The newest 200 stay."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from PIL import Image, UnidentifiedImageError
from uuid_utils.compat import uuid7

from backend.artifacts import write_atomically
from backend.errors import MalformedError, NotFoundError
from backend.schemas.base import FieldProblem
from backend.schemas.reward_test import (
    VARIANTS,
    RewardTest,
    RewardTestCreate,
    RewardTestResult,
    RewardTestState,
)

REQUEST, PICTURE, RESULT, FAILURE, CLAIM, SENT, TRIES = (
    "request.json",
    "picture.png",
    "result.json",
    "failure.txt",
    "claimed",
    "sent",
    "tries",
)
MAX_TRIES = 3
FOLDER = "reward-tests"
NUM_KEPT = 200
MOST_PIXELS = 2**24

# A worker says before each reward that it is at it: one that is silent for longer has died; an older message is lost.
_CLAIM_SECONDS, _SENT_SECONDS = 120.0, 15.0


class RewardTestFolder:
    """One test's files."""

    def __init__(self, root: Path, test_id: UUID) -> None:
        self.id = test_id
        self.path = root / str(test_id)

    @property
    def request(self) -> RewardTestCreate:
        """What was asked; the picture lies beside it."""
        content = json.loads((self.path / REQUEST).read_bytes())
        return RewardTestCreate.model_validate(content)

    @property
    def is_finished(self) -> bool:
        """Whether there is an answer of either kind."""
        return (self.path / RESULT).is_file() or (self.path / FAILURE).is_file()

    @property
    def wants_message(self) -> bool:
        """Whether nobody has it in hand and no message is on its way."""
        return (
            not self.is_finished and _age(self.path / CLAIM) > _CLAIM_SECONDS and _age(self.path / SENT) > _SENT_SECONDS
        )

    def mark(self, name: str) -> None:
        """Notes that it was claimed or sent, now."""
        (self.path / name).touch()

    def begin(self) -> bool:
        """Claims the test and counts the try; False, and the test has failed, where too many were lost."""
        path = self.path / TRIES
        tries = 1 + (len(path.read_bytes()) if path.is_file() else 0)
        if tries > MAX_TRIES:
            self.fail(
                f"{MAX_TRIES} tries in a row were lost: the interactive worker died while it tested, often for lack of "
                "memory. Test fewer or smaller rewards at once"
            )
            return False
        with path.open("ab") as file:
            file.write(b".")
        self.mark(CLAIM)
        return True

    def finish(self, result: RewardTestResult) -> None:
        """Keeps the answer."""
        write_atomically(self.path / RESULT, result.model_dump_json(indent=1).encode())

    def fail(self, words: str) -> None:
        """Keeps the reason."""
        write_atomically(self.path / FAILURE, words.encode())

    def picture(self, name: str) -> bytes:
        """The picture's bytes, PNG; `picture` or a variant's name.

        Raises:
            NotFoundError: when there is none of this name, or not yet.
        """
        try:
            return (self.path / f"{name}.png").read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"test {self.id} has no picture {name!r} yet") from None

    def to_wire(self) -> RewardTest:
        """The test as the API shows it."""
        request = self.request
        done, failed = self.path / RESULT, self.path / FAILURE
        state = RewardTestState.TESTING if _age(self.path / CLAIM) <= _CLAIM_SECONDS else RewardTestState.QUEUED
        state = RewardTestState.FAILED if failed.is_file() else RewardTestState.DONE if done.is_file() else state
        url = f"/api/v1/reward-tests/{self.id}/pictures"
        made = [name for name in VARIANTS if (self.path / f"{name}.png").is_file()]
        return RewardTest(
            id=self.id,
            state=state,
            prompt=request.prompt,
            sample_id=request.sample_id,
            image_url=f"{url}/picture",
            variant_urls={name: f"{url}/{name}" for name in made},
            num_rewards=len(request.rewards),
            result=RewardTestResult.model_validate_json(done.read_bytes()) if done.is_file() else None,
            error=failed.read_text() if failed.is_file() else None,
            created_at=datetime.fromtimestamp((self.path / REQUEST).stat().st_mtime, UTC),
        )


def create_test(root: Path, request: RewardTestCreate, picture: bytes) -> RewardTestFolder:
    """Writes a new test's files, and lets the oldest ones go."""
    folder = RewardTestFolder(root, uuid7())
    write_atomically(folder.path / PICTURE, picture)
    # The picture lies beside the request; as a test of a sample it has a picture either way.
    content = request.model_dump(mode="json") | ({"image": "kept"} if request.image is not None else {})
    write_atomically(folder.path / REQUEST, json.dumps(content, indent=1).encode())
    for old in sorted(root.iterdir(), reverse=True)[NUM_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def find_test(root: Path, test_id: UUID) -> RewardTestFolder:
    """A test that is there.

    Raises:
        NotFoundError: when it is not.
    """
    folder = RewardTestFolder(root, test_id)
    if not (folder.path / REQUEST).is_file():
        raise NotFoundError(f"there is no reward test {test_id}: the newest {NUM_KEPT} are kept")
    return folder


def sent_picture(image: str) -> bytes:
    """The picture of a request as PNG.

    Raises:
        MalformedError: when it is no base64, no picture, or has too many pixels.
    """
    try:
        content = base64.b64decode(image.partition(",")[2] if image.startswith("data:") else image, validate=True)
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                _refuse(_too_large(f"{picture.width} x {picture.height}"))
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, format="PNG")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow looks at the header's size before anybody can ask for it; its words begin with the number of pixels.
        number = re.search("[0-9]+", str(error))
        _refuse(_too_large(number[0] if number else "too many"))
    except (binascii.Error, ValueError, UnidentifiedImageError, OSError, SyntaxError):
        _refuse("it is no PNG, JPEG or WebP (in the request, as base64)")
    return buffer.getvalue()


def _refuse(reason: str) -> NoReturn:
    message = f"the picture cannot be read: {reason}"
    raise MalformedError(message, (FieldProblem(pointer="/image", message=message),))


def _too_large(pixels: str) -> str:
    return f"it has {pixels} pixels, at most {MOST_PIXELS} are read: make it smaller"


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
