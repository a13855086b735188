"""`unmask up` as a person meets it: it starts, survives the death of every part, ends cleanly, refuses in one line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from backend.embedded.studio import ROOT, web_command
from backend.schemas.config import TrainConfig
from backend.schemas.run import RunCreate, RunStatus

if TYPE_CHECKING:
    from tests.e2e.conftest import Up

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="Linux and macOS only")]

UNMASK = str(Path(sys.executable).parent / "unmask")
SMALL_RUN = TrainConfig.model_validate(
    {
        "num_steps": 2,
        "rollout": {"num_prompts": 2, "group_size": 2},
        "sampling": {"num_unmasking_steps": 4},
        "probe": {"num_prompts": 0},
        "policy": {"num_threads": 1},
    }
)


def wait_until(is_reached: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


def answers(up: Up, path: str = "/readyz") -> bool:
    try:
        return httpx.get(up.url + path, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_it_performs_a_run_and_ctrl_c_leaves_nothing(start_up: Callable[..., Up]) -> None:
    up = start_up()
    up.wait_until_ready()
    services = up.services()
    assert set(services) == {"postgres", "valkey", "web", "worker", "interactive"}
    everyone = [process for service in services.values() for process in (service, *service.children(recursive=True))]
    listening = {at.laddr.ip for process in everyone for at in process.net_connections("inet") if at.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    with up.client() as client:
        run = client.create_run(RunCreate(config=SMALL_RUN))
        for _ in client.watch(run.id):
            pass
        ended = client.get_run(run.id)
    assert (ended.status, ended.step, ended.error) == (RunStatus.SUCCEEDED, 2, None)
    wait_until(lambda: answers(up, "/"), "the pages")
    started = time.monotonic()
    assert up.end(signal.SIGINT) == 0
    assert time.monotonic() - started < 10
    assert [process for process in everyone if process.is_running()] == []
    assert not (up.data_dir / "processes.json").exists()


def test_a_run_survives_the_death_of_the_studio_and_the_next_start_finishes_it(start_up: Callable[..., Up]) -> None:
    first = start_up()
    first.wait_until_ready()
    long_run = SMALL_RUN.model_copy(update={"num_steps": 40})
    with first.client() as client:
        run = client.create_run(RunCreate(config=long_run))
        wait_until(lambda: client.get_run(run.id).step >= 1, "the first step")
    services = list(first.services().values())
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = start_up(port=first.port)
    second.wait_until_ready()
    assert [process for process in services if process.is_running() and process.status() != "zombie"] == []
    with second.client() as client:
        wait_until(lambda: client.get_run(run.id).status is RunStatus.SUCCEEDED, "the run's end", 180)
        assert client.get_run(run.id).step == 40
    assert second.end(signal.SIGTERM) == 0


def test_every_killed_service_is_restarted_and_runs_go_on(start_up: Callable[..., Up]) -> None:
    up = start_up()
    up.wait_until_ready()
    for service in ("postgres", "valkey", "web", "worker", "interactive"):
        victim = psutil.Process(up.pid_of(service))
        victim.kill()
        wait_until(partial(is_replaced, up, service, victim.pid), f"a new {service}")
        assert up.said(f"{service} was ended by SIGKILL; it is restarted")
    with up.client() as client:
        run = client.create_run(RunCreate(config=SMALL_RUN))
        wait_until(lambda: client.get_run(run.id).status is RunStatus.SUCCEEDED, "the run's end", seconds=120)
    assert up.end() == 0


def is_replaced(up: Up, service: str, old_pid: int) -> bool:
    return up.pid_of(service) != old_pid and answers(up)


def test_a_second_start_is_quick_and_a_second_studio_is_refused(start_up: Callable[..., Up]) -> None:
    first = start_up()
    first.wait_until_ready()
    command = [UNMASK, "up", "--port", str(first.port + 1), "--data-dir", str(first.data_dir)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert f"a studio already runs on {first.data_dir} (process {first.process.pid})" in refused.stderr
    assert first.end() == 0
    started = time.monotonic()
    second = start_up(port=first.port)
    second.wait_until_ready()
    seconds, work = time.monotonic() - started, cpu_seconds(second)
    # Work, not time: a busy machine makes everything slow, and ten seconds are those of an idle one.
    assert work < 10
    assert seconds < 60
    assert second.end() == 0


def cpu_seconds(up: Up) -> float:
    """What a studio and all of its processes have worked, those included that ended meanwhile."""
    own = psutil.Process(up.process.pid)
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(
                process.cpu_times()[:4]
            )  # User and system time, and those of the children that were waited for.
    return total


def test_a_busy_port_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        command = [UNMASK, "up", "--json", "--port", str(port), "--data-dir", str(tmp_path / "data")]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in json.loads(refused.stderr)["error"]["detail"]
    assert not (tmp_path / "data" / "postgres").exists()


def test_the_web_process_answers_before_its_pages_are_built(tmp_path: Path) -> None:
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    web = subprocess.Popen(
        web_command("127.0.0.1", port),
        env=environment | {"DATA_DIR": str(tmp_path)},
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        process = psutil.Process(web.pid)
        wait_until(lambda: is_alive(port), "the first answer")
        # Work, not time: a busy machine makes everything slow, and the bound is 3 s of an idle one.
        work = process.cpu_times()
        assert work.user + work.system < 3
    finally:
        web.kill()
        web.wait()


def test_a_web_process_that_still_builds_its_pages_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    with subprocess.Popen(
        web_command("127.0.0.1", port),
        env=environment | {"DATA_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as web:
        wait_until(lambda: is_alive(port), "the first answer")
        web.send_signal(signal.SIGTERM)
        said, _ = web.communicate(timeout=60)
    assert web.returncode == -signal.SIGTERM
    assert "Application shutdown complete" in said
    # It did not wait for them, which would take longer than a supervisor's patience.
    assert "pages are ready" not in said
    assert "Traceback" not in said


def is_alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", timeout=1, trust_env=False).is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
