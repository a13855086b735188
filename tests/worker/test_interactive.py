"""The interactive worker on real files: true frames, failures in words, and nothing lost or half-written by a kill."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend import queue
from backend.artifacts import RunFolder, run_folder
from backend.catalogue import repository as catalogue
from backend.db import transaction
from backend.models import FramesRow, RunRow
from backend.samples import frames_repository as frames
from backend.samples import repository as samples
from backend.schemas.algorithm import SamplingConfig
from worker import interactive, presence
from worker.jobs.records import GroupLabel
from worker.jobs.showing import show, store_shown
from worker.showo.loading import load_policy

Sessions = sessionmaker[Session]
NUM_STEPS = 3
FRAMES = "frames/000001-probe-policy/000-0{}.png"


@dataclass(frozen=True)
class Stored:
    """A group of two samples; its job has decoded the frames of the first."""

    folder: RunFolder
    runs_dir: Path
    sample_id: UUID  # Of the second.

    def strip(self, index: int) -> np.ndarray:
        """The frames of a sample, side by side."""
        with Image.open(self.folder.path(FRAMES.format(index))) as strip:
            return np.asarray(strip.convert("RGB"))


@pytest.fixture
def stored(sessions: Sessions, make_run: Callable[..., RunRow], policy_folder: Path, tmp_path: Path) -> Stored:
    run = make_run(worker="w", policy={"source": str(policy_folder)})
    folder = run_folder(tmp_path / "runs", run.id)
    store(sessions, run.id, folder, policy_folder, seeds=(1, 2))
    with transaction(sessions) as session:
        (group,) = samples.list_groups(session, run_id=run.id, step=1, limit=2)
        second = next(each for each in samples.samples_of(session, group_ids=[group.id])[group.id] if each.index == 1)
        frames.request_frames(session, sample_id=second.id)
    return Stored(folder, tmp_path / "runs", second.id)


def store(sessions: Sessions, run_id: UUID, folder: RunFolder, policy_folder: Path, seeds: tuple[int, ...]) -> None:
    """Makes a group as a probe does."""
    policy = load_policy(policy_folder)
    (shown,) = show(policy, ["a red circle"], [seeds], SamplingConfig(num_unmasking_steps=NUM_STEPS))
    record = store_shown(folder, policy, shown, GroupLabel(1, 0, shown.prompt, "policy"), "probe", framed=(0,))
    with transaction(sessions) as session:
        samples.add_groups(session, run_id=run_id, purpose="probe", groups=(record,))


def request_of(sessions: Sessions, stored: Stored) -> FramesRow:
    with transaction(sessions) as session:
        row = frames.get_frames(session, sample_id=stored.sample_id)
    assert row is not None
    return row


def test_the_frames_are_those_that_the_job_would_have_written(sessions: Sessions, stored: Stored) -> None:
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    row = request_of(sessions, stored)
    assert (row.state, row.num_done, row.error) == ("decoded", NUM_STEPS, None)
    assert stored.strip(1).shape == stored.strip(0).shape
    # The job that decodes all samples of the same group is the reference, bit for bit.
    whole = RunFolder(stored.runs_dir / "reference")
    policy = load_policy(stored_source(sessions, stored))
    (shown,) = show(policy, ["a red circle"], [(1, 2)], SamplingConfig(num_unmasking_steps=NUM_STEPS))
    store_shown(whole, policy, shown, GroupLabel(1, 0, shown.prompt, "policy"), "probe", framed=(0, 1))
    assert stored.folder.read(FRAMES.format(1)) == whole.read(FRAMES.format(1))


def stored_source(sessions: Sessions, stored: Stored) -> str:
    with sessions() as session:
        row = session.get(RunRow, UUID(stored.folder.root.name))
    assert row is not None
    return str(row.config["policy"]["source"])


def test_a_message_that_comes_twice_does_nothing(sessions: Sessions, stored: Stored) -> None:
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    path = stored.folder.path(FRAMES.format(1))
    path.write_bytes(b"untouched")
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    assert (path.read_bytes(), request_of(sessions, stored).num_tries) == (b"untouched", 1)


def test_a_missing_trajectory_is_told_with_the_cure_and_leaves_nothing(sessions: Sessions, stored: Stored) -> None:
    stored.folder.path("trajectories/000001-probe-policy/000.npz").unlink()
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    row = request_of(sessions, stored)
    assert row.state == "failed"
    assert str(row.error).endswith("000.npz is missing: put it back, then ask again")
    assert [path.name for path in stored.folder.path("frames/000001-probe-policy").iterdir()] == ["000-00.png"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: free some space, then ask again"),
        (ValueError("vq/config.json is missing; copy it anew"), "vq/config.json is missing; copy it anew"),
        (RuntimeError("can't allocate memory"), "RuntimeError: can't allocate memory; the interactive worker's lines"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(error: Exception, words: str) -> None:
    assert interactive.words_of(error).startswith(words)


def test_what_a_killed_worker_had_in_hand_is_done_by_its_successor(
    sessions: Sessions, stored: Stored, broker: Callable[..., list[str]]
) -> None:
    with transaction(sessions) as session:
        frames.mark_sent(session, sample_id=stored.sample_id)
        assert frames.claim(session, sample_id=stored.sample_id, worker=interactive.WORKER_NAME)
    hear(sessions)
    interactive.release_and_send(sessions)
    assert broker(queue.INTERACTIVE_QUEUE) == [str(stored.sample_id)]
    interactive.release_and_send(sessions)
    assert broker(queue.INTERACTIVE_QUEUE) == [], "once is enough"
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    assert (request_of(sessions, stored).state, request_of(sessions, stored).num_tries) == ("decoded", 2)


def hear(sessions: Sessions) -> None:
    presence.tell_where_we_are(sessions, name=interactive.WORKER_NAME, queue=queue.INTERACTIVE_QUEUE)


def test_what_a_living_worker_has_in_hand_is_left_to_it_until_it_falls_silent(
    sessions: Sessions, stored: Stored, broker: Callable[..., list[str]]
) -> None:
    other = "interactive@elsewhere"
    with transaction(sessions) as session:
        frames.claim(session, sample_id=stored.sample_id, worker=other)
    presence.tell_where_we_are(sessions, name=other, queue=queue.INTERACTIVE_QUEUE)
    interactive.release_and_send(sessions)
    assert request_of(sessions, stored).state == "decoding"
    with transaction(sessions) as session:
        session.execute(text("UPDATE worker SET seen_at = now() - interval '1 minute'"))
    interactive.release_and_send(sessions)
    assert (request_of(sessions, stored).state, broker(queue.INTERACTIVE_QUEUE)) == ("queued", [str(stored.sample_id)])


def test_what_kills_its_worker_again_and_again_fails(sessions: Sessions, stored: Stored, broker: object) -> None:
    for _ in range(frames.MAX_TRIES):
        with transaction(sessions) as session:
            assert frames.claim(session, sample_id=stored.sample_id, worker=interactive.WORKER_NAME)
        interactive.release_and_send(sessions)
    row = request_of(sessions, stored)
    assert (row.state, "3 tries in a row were lost" in str(row.error)) == ("failed", True)


def resume_while_decoding(
    stored: Stored, policy_folder: Path, monkeypatch: pytest.MonkeyPatch, write_own: Callable[[], object]
) -> None:
    """Between the interactive worker's file and its mark, a resumed run makes the group anew."""
    write = interactive._write

    def resume_meanwhile(sessions: Sessions, runs_dir: Path, claimed: frames.ClaimedFrames) -> str:
        written = write(sessions, runs_dir, claimed)
        decoded = stored.folder.read(FRAMES.format(1))
        store(sessions, claimed.sample.run_id, stored.folder, policy_folder, seeds=(3, 4))
        stored.folder.write(FRAMES.format(1), decoded)
        write_own()
        return written

    monkeypatch.setattr(interactive, "_write", resume_meanwhile)


def test_frames_of_a_picture_that_a_resumed_run_has_made_anew_are_not_kept(
    sessions: Sessions, stored: Stored, policy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume_while_decoding(stored, policy_folder, monkeypatch, lambda: None)
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    assert not stored.folder.path(FRAMES.format(1)).exists()
    with sessions() as session:
        assert session.get(FramesRow, stored.sample_id) is None


def test_frames_that_a_resumed_run_has_written_itself_meanwhile_are_kept(
    sessions: Sessions, stored: Stored, policy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = b"the new picture's strip"
    resume_while_decoding(stored, policy_folder, monkeypatch, lambda: stored.folder.write(FRAMES.format(1), own))
    interactive.decode_sample(sessions, stored.runs_dir, stored.sample_id)
    assert stored.folder.read(FRAMES.format(1)) == own


def test_an_interactive_worker_is_not_shown_as_one_that_takes_runs(sessions: Sessions) -> None:
    hear(sessions)
    with transaction(sessions) as session:
        assert frames.is_worker_there(session)
        assert list(catalogue.list_workers(session)) == []
    presence.say_goodbye(sessions, name=interactive.WORKER_NAME)
    with transaction(sessions) as session:
        assert not frames.is_worker_there(session)
