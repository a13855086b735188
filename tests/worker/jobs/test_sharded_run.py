"""A run whose weights two real processes hold by halves: it ends as one process does, killed and resumed or not."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.run import RunStatus
from tests.worker.jobs.driving import drive, tiny_train_config
from tests.worker.jobs.test_several_processes import Job
from worker.jobs import run_job
from worker.jobs.checkpoints import read_checkpoint, saved_steps
from worker.showo.loading import load_policy

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

NUM_STEPS = 2
RATE = 1e-3


def config_of(policy_folder: Path, num_processes: int, **changes: Any) -> Any:
    """With an average, a weighted KL, a probe, and three groups for two processes."""
    values: dict[str, Any] = {
        "num_steps": NUM_STEPS,
        "rollout": {"num_prompts": 3, "group_size": 3},
        "grpo": {"transition": "candidate_2", "ratio": "mean", "kl_beta": 0.05},
        "optimizer": {"learning_rate": RATE, "ema_decay": 0.5, "num_micro_batches": 2},
        "probe": {"num_prompts": 6, "every_num_steps": 2},
        "checkpoints": {"every_num_steps": 1, "num_kept": NUM_STEPS},
        "scaling": {"num_processes": num_processes, "sharding": "fsdp" if num_processes > 1 else "none"},
    }
    return tiny_train_config(policy_folder, **values | changes)


def started(config: Any, folder: RunFolder) -> Job:
    folder.write("config.json", config.model_dump_json().encode())
    return Job(folder)


def optimizer_state(folder: RunFolder) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = read_checkpoint(folder, NUM_STEPS).state["trainer"]["optimizer"]
    return found


def are_near(folder: RunFolder, other: RunFolder) -> None:
    """Equal to a hundredth of the rate, where a parameter has an influence: see test_several_processes.py."""
    found, wanted = optimizer_state(folder), optimizer_state(other)
    for part in ("parameters", "average"):
        assert found[part].keys() == wanted[part].keys()
        for name, value in found[part].items():
            matters = slice(len(value) // 2) if name.endswith("k_layernorm.bias") else slice(None)
            torch.testing.assert_close(value[matters], wanted[part][name][matters], rtol=0, atol=RATE / 100)


def test_halves_train_what_a_whole_does_and_survive_a_kill(policy_folder: Path, tmp_path: Path) -> None:
    alone, whole, hurt = (RunFolder(tmp_path / name) for name in ("alone", "whole", "hurt"))
    drive(run_job(config_of(policy_folder, 1), alone))
    sharded = config_of(policy_folder, 2)

    job = started(sharded, whole)
    job.hear_step(1)
    # Pictures on request are made by both, of which one keeps them.
    code, log = job.end(is_sample_requested=True)
    assert code == 0, log
    assert {event["type"] for event in job.events} >= {"score", "samples", "step", "checkpoint"}
    assert (job.events[-1]["type"], job.events[-1]["status"]) == ("status", "succeeded")
    are_near(whole, alone)
    exported = dict(load_policy(whole.path("exports/policy")).named_parameters())
    for name, value in optimizer_state(whole)["average"].items():
        assert torch.equal(exported[name], value)

    job = started(sharded, hurt)
    job.hear_step(2)
    killed, begun = job.follower(), time.monotonic()
    killed.kill()
    code, log = job.end()
    assert time.monotonic() - begun < 60
    assert code == -signal.SIGKILL
    assert f"process 1 of 2 (pid {killed.pid}) was ended by SIGKILL" in log.splitlines()[-1]
    # The second step's state is gathered from both, so without the other half it cannot have been saved.
    assert saved_steps(hurt) == [1]
    job = Job(hurt)
    code, log = job.end()
    assert (code, job.events[0]["from_step"], job.events[0]["is_state_equal"]) == (0, 1, True), log
    assert read_checkpoint(hurt, 2).written_hash == read_checkpoint(whole, 2).written_hash

    # A checkpoint knows nothing of parts: one process goes on from it.
    other = RunFolder(tmp_path / "other")
    other.root.mkdir()
    for name in ("start", "checkpoints"):
        hurt.path(name).rename(other.path(name))
    for path in other.path("checkpoints/000002").rglob("*"):
        path.unlink() if path.is_file() else None
    bodies, outcome = drive(run_job(config_of(policy_folder, 1), other))
    assert (outcome, bodies[0].from_step) == (RunStatus.SUCCEEDED, 1)  # type: ignore[union-attr]
    are_near(other, alone)
