"""Decoded frames on request: asked once, answered in every state, never stuck, told from what a browser has kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.catalogue import repository as catalogue
from backend.db import transaction
from backend.models import FramesRow, RunRow
from backend.samples import frames_repository as frames
from backend.schemas.sample import GroupRecord

Sessions = sessionmaker[Session]
WORKER = "interactive@there"


@pytest.fixture
def strip(sample_url: str, tmp_path: Path) -> Path:
    """Where the sample's decoded frames go; they are not there yet."""
    (path,) = tmp_path.glob("runs/*/frames/*/000-00.png")
    path.rename(tmp_path / "strip.png")
    return path


@pytest.fixture
def put_strip(strip: Path, tmp_path: Path) -> Callable[[], None]:
    """Does what the interactive worker does in the end."""
    return lambda: shutil.copy(tmp_path / "strip.png", strip) and None


@pytest.fixture
def hear(sessions: Sessions) -> Callable[[], None]:
    """A sign of life of an interactive worker."""

    def tell() -> None:
        with transaction(sessions) as session:
            catalogue.hear_from_worker(
                session,
                name=WORKER,
                queue=queue.INTERACTIVE_QUEUE,
                run_id=None,
                device="cpu",
                num_cores=2,
                memory_gib=4,
            )

    return tell


@pytest.fixture
def execute(sessions: Sessions) -> Callable[[str], None]:
    def perform(statement: str) -> None:
        with transaction(sessions) as session:
            session.execute(text(statement))

    return perform


def id_of(sample_url: str) -> UUID:
    return UUID(sample_url.rpartition("/")[2])


def take(sessions: Sessions, sample_url: str) -> frames.ClaimedFrames | None:
    with transaction(sessions) as session:
        return frames.claim(session, sample_id=id_of(sample_url), worker=WORKER)


def test_asking_twice_sends_one_message(
    api: TestClient, sample_url: str, strip: Path, hear: Callable[[], None], broker: Callable[..., list[str]]
) -> None:
    hear()
    before = api.get(f"{sample_url}/frames")
    assert (before.status_code, before.json()["state"]) == (200, "composed")
    answers = [api.post(f"{sample_url}/frames") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == {
        "sample_id": str(id_of(sample_url)),
        "state": "queued",
        "num_done": 0,
        "num_steps": 3,
        "seconds": None,
    }
    assert broker(queue.INTERACTIVE_QUEUE) == [str(id_of(sample_url))]
    assert broker() == [], "no worker of the runs is bothered"


def test_a_request_is_followed_to_its_end(
    api: TestClient,
    sample_url: str,
    put_strip: Callable[[], None],
    hear: Callable[[], None],
    sessions: Sessions,
) -> None:
    hear()
    api.post(f"{sample_url}/frames")
    claimed = take(sessions, sample_url)
    assert claimed is not None
    assert take(sessions, sample_url) is None, "a message that comes twice does nothing"
    with transaction(sessions) as session:
        frames.tell_progress(session, sample_id=claimed.sample.id, num_done=2)
    assert {key: api.get(f"{sample_url}/frames").json()[key] for key in ("state", "num_done")} == {
        "state": "decoding",
        "num_done": 2,
    }
    put_strip()
    with transaction(sessions) as session:
        assert frames.finish(session, sample_id=claimed.sample.id, image_sha256=claimed.sample.image_sha256)
    ended = api.post(f"{sample_url}/frames")
    assert (ended.status_code, ended.json()["state"], ended.json()["num_done"]) == (200, "decoded", 3)
    assert ended.json()["seconds"] >= 0
    assert api.get(f"{sample_url}/trajectory").json()["is_decoded"]


def test_frames_that_the_run_decoded_need_no_worker(api: TestClient, sample_url: str) -> None:
    answer = api.post(f"{sample_url}/frames")
    assert (answer.status_code, answer.json()["state"]) == (200, "decoded")


def test_without_an_interactive_worker_nothing_is_queued_and_the_cure_is_named(
    api: TestClient, sample_url: str, strip: Path, sessions: Sessions
) -> None:
    with transaction(sessions) as session:
        catalogue.hear_from_worker(session, name="w", run_id=None, device="cpu", num_cores=2, memory_gib=4)
    refused = api.post(f"{sample_url}/frames")
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert "`unmask up` starts one" in refused.json()["detail"]
    with sessions() as session:
        assert session.get(FramesRow, id_of(sample_url)) is None


def test_a_worker_that_falls_silent_or_a_broker_that_is_away_ends_the_waiting(
    api: TestClient,
    sample_url: str,
    strip: Path,
    hear: Callable[[], None],
    execute: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hear()
    monkeypatch.setattr(queue, "send_interactive", lambda *_: False)
    assert api.post(f"{sample_url}/frames").status_code == 202
    assert api.get(f"{sample_url}/frames").json()["state"] == "queued"
    execute("UPDATE sample_frames SET requested_at = now() - interval '16 seconds'")
    assert "the broker has not taken the request" in api.get(f"{sample_url}/frames").json()["detail"]
    execute("UPDATE worker SET seen_at = now() - interval '21 seconds'")
    silent = api.get(f"{sample_url}/frames")
    assert (silent.status_code, "no interactive worker" in silent.json()["detail"]) == (503, True)


def test_a_failure_is_told_and_asking_again_tries_again(
    api: TestClient,
    sample_url: str,
    strip: Path,
    hear: Callable[[], None],
    sessions: Sessions,
    broker: Callable[..., list[str]],
) -> None:
    hear()
    api.post(f"{sample_url}/frames")
    take(sessions, sample_url)
    with transaction(sessions) as session:
        frames.fail(session, sample_id=id_of(sample_url), error="the tokenizer is gone: put it back")
    failed = api.get(f"{sample_url}/frames")
    assert (failed.status_code, failed.json()["code"]) == (409, "conflict")
    assert failed.json()["detail"].endswith("could not be decoded: the tokenizer is gone: put it back")
    broker(queue.INTERACTIVE_QUEUE)
    assert api.post(f"{sample_url}/frames").json()["state"] == "queued"
    assert broker(queue.INTERACTIVE_QUEUE) == [str(id_of(sample_url))]


def test_decoded_frames_that_were_deleted_can_be_had_again(
    api: TestClient, sample_url: str, strip: Path, hear: Callable[[], None], sessions: Sessions
) -> None:
    hear()
    api.post(f"{sample_url}/frames")
    claimed = take(sessions, sample_url)
    assert claimed is not None
    with transaction(sessions) as session:
        frames.finish(session, sample_id=claimed.sample.id, image_sha256=claimed.sample.image_sha256)
    assert api.get(f"{sample_url}/frames").json()["state"] == "composed"
    assert api.post(f"{sample_url}/frames").json()["state"] == "queued"


def test_a_request_goes_with_the_sample_that_a_resumed_run_makes_anew(
    api: TestClient,
    sample_url: str,
    strip: Path,
    hear: Callable[[], None],
    sessions: Sessions,
    add: Callable[..., None],
    make_group: Callable[..., GroupRecord],
) -> None:
    hear()
    api.post(f"{sample_url}/frames")
    claimed = take(sessions, sample_url)
    assert claimed is not None
    add(claimed.sample.run_id, make_group())
    assert api.get(f"{sample_url}/frames").json()["state"] == "composed"
    with transaction(sessions) as session:
        assert not frames.finish(session, sample_id=claimed.sample.id, image_sha256=claimed.sample.image_sha256)


def test_a_sample_without_a_trajectory_cannot_be_decoded(
    api: TestClient,
    make_run: Callable[..., RunRow],
    make_group: Callable[..., GroupRecord],
    add: Callable[..., None],
    hear: Callable[[], None],
) -> None:
    hear()
    run_id = make_run(worker="w").id
    add(run_id, make_group(trajectory_path=None))
    sample = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"][0]["samples"][0]
    refused = api.post(f"/api/v1/samples/{sample['id']}/frames")
    assert (refused.status_code, "did not record it" in refused.json()["detail"]) == (404, True)


def test_a_browser_never_takes_a_covered_picture_for_a_decoded_one(
    api: TestClient, sample_url: str, put_strip: Callable[[], None]
) -> None:
    composed_url = api.get(f"{sample_url}/trajectory").json()["steps"][0]["image_url"]
    unnamed = api.get(f"{sample_url}/frames/0")
    assert unnamed.headers["cache-control"] == "private, no-cache"
    assert api.get(f"{sample_url}/replay.gif").headers["cache-control"] == "private, no-cache"
    assert "immutable" in api.get(composed_url).headers["cache-control"]
    early = api.get(f"{sample_url}/frames/0", params={"origin": "decoded"})
    assert (early.status_code, "POST /api/v1/samples" in early.json()["detail"]) == (404, True)
    put_strip()
    decoded_url = api.get(f"{sample_url}/trajectory").json()["steps"][0]["image_url"]
    assert decoded_url != composed_url
    again = api.get(f"{sample_url}/frames/0", headers={"If-None-Match": unnamed.headers["etag"]})
    assert (again.status_code, again.headers["x-frames"]) == (200, "decoded")
    assert api.get(composed_url).headers["x-frames"] == "composed"
    for kind in ("gif", "webp"):
        assert api.get(f"{sample_url}/replay.{kind}").headers["x-frames"] == "decoded"
