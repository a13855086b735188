"""A job as a real child process, spoken to over its pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from backend.artifacts import RunFolder
from tests.worker.jobs.driving import tiny_train_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
GO_ON = '{"is_cancel_requested": false}'


def start(folder: RunFolder) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker.jobs", str(folder.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    event: dict[str, object] = json.loads(process.stdout.readline())
    return event


def close(*pipes: IO[str] | None) -> None:
    for pipe in pipes:
        if pipe is not None:
            pipe.close()


def test_every_event_waits_for_its_reply_and_the_outcome_is_the_last(policy_folder: Path, folder: RunFolder) -> None:
    config = tiny_train_config(policy_folder, num_steps=1, probe={"num_prompts": 0})
    folder.write("config.json", config.model_dump_json().encode())
    process = start(folder)
    kinds = [hear(process)["type"]]
    for _ in range(3):
        say(process, GO_ON)
        kinds.append(hear(process)["type"])
    assert kinds == ["started", "step", "checkpoint", "status"]
    assert process.wait(timeout=60) == 0
    output, log = process.communicate()
    assert output == ""
    assert [line.split()[2] for line in log.splitlines()] == ["begins", "step", "checkpoint", "succeeded"]


def test_end_of_file_on_stdin_ends_the_job_and_lets_go_of_the_folder(policy_folder: Path, folder: RunFolder) -> None:
    config = tiny_train_config(policy_folder, num_steps=10_000, probe={"num_prompts": 0})
    folder.write("config.json", config.model_dump_json().encode())
    process = start(folder)
    assert hear(process)["type"] == "started"
    say(process, GO_ON)
    close(process.stdin)
    assert process.wait(timeout=60) == os.EX_TEMPFAIL
    close(process.stdout, process.stderr)
    with folder.lock():
        pass


def test_a_busy_folder_is_left_alone(policy_folder: Path, folder: RunFolder) -> None:
    folder.write("config.json", tiny_train_config(policy_folder).model_dump_json().encode())
    with folder.lock():
        process = start(folder)
        assert process.wait(timeout=120) == os.EX_TEMPFAIL
    output, errors = process.communicate()
    assert output == ""
    assert "another process still writes" in errors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "config.json is missing"),
        ("{", "configuration is broken"),
        ('{"kind": "train", "num_step": 3}', "broken at train.num_step"),
    ],
)
def test_a_broken_configuration_is_told_in_one_sentence(folder: RunFolder, content: str | None, words: str) -> None:
    folder.root.mkdir(parents=True)
    if content is not None:
        folder.write("config.json", content.encode())
    process = start(folder)
    event = hear(process)
    assert (event["type"], event["level"]) == ("log", "error")
    assert words in str(event["message"])
    assert process.wait(timeout=60) == 1
    close(process.stdin, process.stdout, process.stderr)


def test_a_job_dies_with_a_parent_that_is_killed(policy_folder: Path, folder: RunFolder) -> None:
    config = tiny_train_config(policy_folder, num_steps=10_000, probe={"num_prompts": 0})
    folder.write("config.json", config.model_dump_json().encode())
    # The parent hands its own pipes on, so that only the kernel's signal can end the job.
    program = (
        "import subprocess, sys, time\n"
        "job = subprocess.Popen([sys.executable, '-m', 'worker.jobs', sys.argv[1]], stdin=0)\n"
        "print(job.pid, file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(folder.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert parent.stderr is not None
    job_pid = int(parent.stderr.readline())
    assert hear(parent)["type"] == "started"
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while _is_alive(job_pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    close(parent.stdin, parent.stdout, parent.stderr)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
