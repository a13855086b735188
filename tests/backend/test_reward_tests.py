"""Reward tests over REST: a picture is sent or named, the message leaves, what cannot be is refused with the cure."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.catalogue import repository as catalogue
from backend.db import transaction
from backend.models import RunRow
from backend.reward_tests.folder import FOLDER, RewardTestFolder
from backend.schemas.reward_test import RewardAnswer, RewardTestResult
from tests.backend.registry.conftest import learned
from tests.backend.reward_models import report_with

__all__ = ["learned"]

TESTS = "/api/v1/reward-tests"


@pytest.fixture
def hear(sessions: sessionmaker[Session]) -> Callable[[], None]:
    """An interactive worker says that it is here."""

    def speak() -> None:
        with transaction(sessions) as session:
            catalogue.hear_from_worker(
                session,
                name="i",
                run_id=None,
                device="cpu",
                num_cores=2,
                memory_gib=4,
                queue=queue.INTERACTIVE_QUEUE,
            )

    return speak


def picture(kind: str = "PNG", size: tuple[int, int] = (32, 32)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, format=kind)
    return base64.b64encode(buffer.getvalue()).decode()


def huge_header(width: int, height: int) -> str:
    """A PNG of a few bytes that says it is huge."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    ending = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    content = b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + ending
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_is_sent_is_tested_by_every_reward_that_is_here(
    api: TestClient, hear: Callable[[], None], broker: Callable[..., list[str]], kind: str
) -> None:
    hear()
    answer = api.post(TESTS, json={"prompt": "a red circle", "image": picture(kind)})
    assert answer.status_code == 201, answer.text
    test = answer.json()
    assert (test["state"], test["result"], test["num_rewards"]) == ("queued", None, 5)
    assert answer.headers["Location"] == f"{TESTS}/{test['id']}"
    assert broker(queue.INTERACTIVE_QUEUE) == [test["id"]]
    with Image.open(io.BytesIO(api.get(test["image_url"]).content)) as kept:
        assert (kept.format, kept.size) == ("PNG", (32, 32))


def test_the_newest_learned_rewards_that_are_proven_are_asked_too(
    api: TestClient, hear: Callable[[], None], learned: Callable[..., RunRow], tmp_path: Path
) -> None:
    hear()
    sources = [f"run:{learned(str(number)).id}" for number in range(6)]
    report = tmp_path / "runs" / sources[-1].removeprefix("run:") / "exports/reward/report.json"
    report.write_text(report_with(accuracy=(0.55, 0.45, 0.65)).model_dump_json())
    test = api.post(TESTS, json={"prompt": "a red circle", "image": picture()}).json()
    asked = RewardTestFolder(tmp_path / FOLDER, test["id"]).request.rewards
    assert [each.source for each in asked if each.name == "learned"] == sources[4:1:-1]
    assert test["num_rewards"] == 5 + 3


def test_a_sample_of_the_studio_is_tested(api: TestClient, hear: Callable[[], None], sample_url: str) -> None:
    hear()
    sample = api.get(sample_url).json()
    body = {"prompt": sample["prompt"], "sample_id": sample["id"], "rewards": [{"name": "strict"}]}
    test = api.post(TESTS, json=body).json()
    assert api.get(test["image_url"]).content == api.get(sample["image_url"]).content


def test_the_answer_is_read_when_it_is_there(api: TestClient, hear: Callable[[], None], tmp_path: Path) -> None:
    hear()
    test = api.post(TESTS, json={"prompt": "a red circle", "image": picture()}).json()
    folder = RewardTestFolder(tmp_path / FOLDER, test["id"])
    folder.mark("claimed")
    assert api.get(f"{TESTS}/{test['id']}").json()["state"] == "testing"
    folder.finish(RewardTestResult(device="cpu", rewards=(RewardAnswer(name="strict", source="", score=1),)))
    done = api.get(f"{TESTS}/{test['id']}").json()
    assert (done["state"], done["result"]["rewards"][0]["score"]) == ("done", 1)


def test_a_message_that_was_lost_is_sent_again(
    api: TestClient, hear: Callable[[], None], broker: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hear()
    with monkeypatch.context() as away:
        away.setattr(queue, "send_interactive", lambda *_: False)
        test = api.post(TESTS, json={"prompt": "a red circle", "image": picture()}).json()
    assert api.get(f"{TESTS}/{test['id']}").json()["state"] == "queued"
    assert broker(queue.INTERACTIVE_QUEUE) == [test["id"]]
    api.get(f"{TESTS}/{test['id']}")
    assert broker(queue.INTERACTIVE_QUEUE) == []


def test_without_a_worker_nothing_is_kept_and_the_cure_is_named(api: TestClient, tmp_path: Path) -> None:
    answer = api.post(TESTS, json={"prompt": "a red circle", "image": picture()})
    assert (answer.status_code, "`unmask up` starts one" in answer.json()["detail"]) == (503, True)
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"image": "no base64!"}, "it is no PNG, JPEG or WebP (in the request, as base64)"),
        ({"image": base64.b64encode(b"text").decode()}, "it is no PNG, JPEG or WebP"),
        ({"image": picture(size=(5000, 4000))}, "5000 x 4000 pixels, at most 16777216 are read"),
        ({"image": huge_header(20_000, 20_000)}, "400000000 pixels, at most 16777216 are read: make it smaller"),
        ({"image": huge_header(10_000, 10_000)}, "100000000 pixels, at most 16777216 are read: make it smaller"),
        ({}, "give either sample_id or image"),
        ({"image": picture(), "sample_id": str(uuid4())}, "give either sample_id or image"),
        ({"image": picture(), "prompt": " "}, "at least 1 character"),
    ],
)
def test_what_is_no_picture_or_no_prompt_is_refused(
    api: TestClient, hear: Callable[[], None], body: dict[str, str], words: str
) -> None:
    hear()
    answer = api.post(TESTS, json={"prompt": "a red circle"} | body)
    assert (answer.status_code, words in answer.text) == (422, True), answer.text


def test_what_is_not_there_is_told(api: TestClient, hear: Callable[[], None]) -> None:
    hear()
    assert "the newest 200 are kept" in api.get(f"{TESTS}/{uuid4()}").json()["detail"]
    test = api.post(TESTS, json={"prompt": "a red circle", "image": picture()}).json()
    assert api.get(f"{TESTS}/{test['id']}/pictures/flip").status_code == 404
    assert api.get(f"{TESTS}/{test['id']}/pictures/%2E%2E").status_code in (404, 422)
    assert api.get(f"{TESTS}/{test['id']}/pictures/REQUEST.json").status_code == 422
