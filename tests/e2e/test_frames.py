"""Frames decoded on request by the interactive worker of `unmask up`, which is killed with -9 in the middle of one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
import psutil
import pytest

from backend.client import StudioClient
from backend.errors import UnavailableError
from backend.schemas.config import TrainConfig
from backend.schemas.run import RunCreate
from backend.schemas.sample import FramesState
from tests.e2e.conftest import wait_until

if TYPE_CHECKING:
    from tests.e2e.conftest import Up

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Linux and macOS only"),
]

RUN = TrainConfig.model_validate(
    {
        "num_steps": 1,
        "rollout": {"num_prompts": 1, "group_size": 3},
        "sampling": {"num_unmasking_steps": 4},
        "probe": {"num_prompts": 0},
        "policy": {"num_threads": 1},
    }
)


def asked(client: StudioClient, sample_id: UUID) -> FramesState | None:
    """Asks for the frames; None while no interactive worker is there."""
    try:
        return client.request_frames(sample_id).state
    except UnavailableError:
        return None


def state_of(client: StudioClient, sample_id: UUID) -> FramesState | None:
    """Where it stands; None while no interactive worker is there."""
    try:
        return client.get_frames(sample_id).state
    except UnavailableError:
        return None


def test_a_request_survives_the_death_of_its_worker_and_nothing_is_half_written(start_up: Callable[..., Up]) -> None:
    up = start_up()
    up.wait_until_ready()
    with up.client() as client:
        run = client.create_run(RunCreate(config=RUN))
        for _ in client.watch(run.id):
            pass
        (group,) = client.list_groups(run.id, step=1).data
        first, second = (each.id for each in group.samples if not client.get_trajectory(each.id).is_decoded)
        wait_until(lambda: asked(client, first) is FramesState.QUEUED, "an interactive worker")
        wait_until(lambda: state_of(client, first) is FramesState.DECODING, "the worker's first task")
        victim = psutil.Process(up.pid_of("interactive"))
        victim.kill()
        wait_until(lambda: state_of(client, first) is FramesState.DECODED, "the frames of another worker", seconds=120)
        assert up.pid_of("interactive") != victim.pid
        assert up.said("interactive was ended by SIGKILL; it is restarted")
        assert list((up.data_dir / "runs").rglob("*.tmp")) == []
        for kind in ("gif", "webp"):
            exported = httpx.get(f"{up.url}/api/v1/samples/{first}/replay.{kind}", trust_env=False)
            assert exported.headers["x-frames"] == "decoded"
        assert client.request_frames(second).state is FramesState.QUEUED
        wait_until(lambda: state_of(client, second) is FramesState.DECODED, "the frames of the next sample")
    assert up.end() == 0
