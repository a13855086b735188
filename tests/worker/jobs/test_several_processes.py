"""A run of two real processes over gloo: it ends as one process does, and to kill one of them costs only time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from backend.artifacts import RunFolder
from tests.worker.jobs.driving import drive, tiny_train_config
from worker.jobs import run_job
from worker.jobs.checkpoints import read_checkpoint, saved_steps

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[3]
NUM_STEPS = 3


class Job:
    """A job's processes, spoken to over the pipes as the runner does."""

    def __init__(self, folder: RunFolder) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "RANK"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker.jobs", str(folder.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self.events: list[dict[str, Any]] = []

    def hear(self) -> dict[str, Any] | None:
        """The next event; None when there is none left."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return None
        self.events.append(json.loads(line))
        return self.events[-1]

    def say(self, **flags: bool) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(flags) + "\n")
        self.process.stdin.flush()

    def hear_step(self, step: int) -> None:
        """Goes on until the step is told, whose reply is left to give."""
        while (event := self.hear()) is not None:
            if event["type"] == "step" and event["step"] == step:
                return
            self.say()
        raise AssertionError(f"it ended before step {step}: {self.end()}")

    def end(self, **flags: bool) -> tuple[int, str]:
        """Goes on to the end; gives the exit code and the log."""
        try:
            self.say(**flags)
            while self.hear() is not None:
                self.say(**flags)
        except BrokenPipeError:
            pass
        _, log = self.process.communicate()
        return self.process.returncode, log

    def follower(self) -> psutil.Process:
        """The second process."""
        children = psutil.Process(self.process.pid).children()
        (found,) = (child for child in children if child.environ().get("RANK") == "1")
        return found


def config_of(policy_folder: Path, num_processes: int) -> Any:
    return tiny_train_config(
        policy_folder,
        num_steps=NUM_STEPS,
        probe={"num_prompts": 0},
        checkpoints={"every_num_steps": 1, "num_kept": NUM_STEPS},
        scaling={"num_processes": num_processes},
    )


def parameters(folder: RunFolder) -> dict[str, Tensor]:
    found: dict[str, Tensor] = read_checkpoint(folder, NUM_STEPS).state["trainer"]["optimizer"]["parameters"]
    return found


def test_two_processes_train_what_one_does_and_survive_a_kill_and_a_pause(policy_folder: Path, tmp_path: Path) -> None:
    alone, whole, hurt = (RunFolder(tmp_path / name) for name in ("alone", "whole", "hurt"))
    drive(run_job(config_of(policy_folder, 1), alone))
    for folder in (whole, hurt):
        folder.write("config.json", config_of(policy_folder, 2).model_dump_json().encode())

    job = Job(whole)
    job.hear_step(1)
    code, log = job.end()
    assert code == 0, log
    assert job.events[0]["device"].endswith("2 processes")
    assert (job.events[-1]["type"], job.events[-1]["status"]) == ("status", "succeeded")
    is_near(parameters(whole), parameters(alone))

    job = Job(hurt)
    job.hear_step(2)
    killed, started = job.follower(), time.monotonic()
    killed.kill()
    code, log = job.end()
    assert time.monotonic() - started < 60
    assert code == -signal.SIGKILL, "to its runner it is a lost attempt, which goes on from its checkpoint"
    assert f"process 1 of 2 (pid {killed.pid}) was ended by SIGKILL" in log.splitlines()[-1]
    # Whether the first process could still save its second step depends on who was faster.
    newest = saved_steps(hurt)[-1]
    assert newest in (1, 2)

    job = Job(hurt)
    job.hear_step(3)
    assert (job.events[0]["from_step"], job.events[0]["is_state_equal"]) == (newest, True)
    code, log = job.end(is_pause_requested=True)
    assert (code, job.events[-1]["status"], saved_steps(hurt)) == (0, "paused", [1, 2, 3]), log
    assert read_checkpoint(hurt, 3).written_hash == read_checkpoint(whole, 3).written_hash


def is_near(several: dict[str, Tensor], one: dict[str, Tensor]) -> None:
    """Equal to 3e-6 where a parameter has an influence.

    A bias on the keys that the rotation leaves alone adds the same number to every score of a query, which the softmax
    takes away: its true gradient is 0, and AdamW makes steps of the learning rate out of the rounding that is left.
    """
    assert several.keys() == one.keys()
    for name, value in several.items():
        matters = slice(len(value) // 2) if name.endswith("k_layernorm.bias") else slice(None)
        torch.testing.assert_close(value[matters], one[name][matters], rtol=0, atol=3e-6)
