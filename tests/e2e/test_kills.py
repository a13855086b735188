"""A run whose job, worker, database and web process are killed with -9 ends equal, bit for bit, to one left alone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.schemas.run import Run, RunStatus
from tests.chaos import LEASE, Studio, configuration, differences, finish, launch, traces_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform == "win32", reason="Linux and macOS only"),
]

# Who is killed once the run has reached which step. The web process comes last: without it nobody sees the run go on.
KILLS = ((2, "job"), (4, "worker"), (6, "postgres"), (8, "web"))
NUM_STEPS = 15


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    # A lost worker's run is taken up when its lease is over; a minute of waiting would show nothing more.
    for name, value in LEASE.items():
        monkeypatch.setenv(name, value)
    data_dir = Path(tempfile.mkdtemp(prefix="kills-"))  # Short: it holds the database's socket.
    studio = Studio(data_dir)
    yield studio
    studio.up.end()
    shutil.rmtree(data_dir, ignore_errors=True)


class Plan:
    """Names each victim once, at its step, and only while the run is live."""

    def __init__(self) -> None:
        self._left = list(KILLS)

    def __call__(self, run: Run | None) -> str | None:
        is_live = run is not None and run.status is RunStatus.RUNNING
        if run is None or not is_live or not self._left or run.step < self._left[0][0]:
            return None
        return self._left.pop(0)[1]


def test_a_run_whose_parts_are_killed_ends_bit_for_bit_equal_to_one_left_alone(studio: Studio) -> None:
    config = configuration(seed=0, num_steps=NUM_STEPS)
    calm, _ = finish(studio, launch(studio, config))
    assert (calm.status, calm.error) == (RunStatus.SUCCEEDED, None)
    undisturbed = traces_of(studio, calm)
    assert len(undisturbed.metrics) == NUM_STEPS
    assert len(undisturbed.pictures) == NUM_STEPS * config.rollout.num_prompts * config.rollout.group_size
    assert len(undisturbed.state_hashes) == NUM_STEPS // config.checkpoints.every_num_steps

    disturbed, killed = finish(studio, launch(studio, config), Plan())
    assert killed == [victim for _, victim in KILLS]
    assert (disturbed.status, disturbed.error) == (RunStatus.SUCCEEDED, None)
    assert disturbed.attempt >= 3, "job and worker were lost, so there were new attempts"
    assert differences(undisturbed, traces_of(studio, disturbed)) == []
    with studio.client() as client:
        running = [run for run in client.list_runs().data if run.status is RunStatus.RUNNING]
    now = datetime.now(UTC)
    assert [run.id for run in running if run.lease_expires_at is None or run.lease_expires_at < now] == []
