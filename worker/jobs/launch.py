"""Starts a job's processes on this machine through torchrun's own agent, and ends as the first of them that failed.

It knows no job: only a command line, and what became of the processes that performed it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig, run_config_adapter
from worker.jobs.ranks import LAUNCHER

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

PEER_LOST = os.EX_PROTOCOL
"""The exit code of a process that ended only because another one did."""

_SECONDS_TO_END = 5
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


@dataclass(frozen=True)
class Death:
    """How a process ended."""

    process_id: int
    exit_code: int
    """negative for the signal that ended it"""
    words: str = ""
    """its last, where it left any by `leave_words`"""


def num_processes_of(folder: RunFolder) -> int:
    """How many processes the run of a folder asks for; 1 where that cannot be read, which the job will say itself."""
    try:
        config = run_config_adapter.validate_json(folder.read("config.json"))
    except (ValueError, OSError):
        return 1
    return config.scaling.num_processes if isinstance(config, TrainConfig) else 1


def launch(num_processes: int, arguments: Sequence[str]) -> int:
    """Runs `python ARGUMENTS` in every process and gives the exit code; none is started again.

    They inherit the pipes, of which only the first process makes use. When one fails the agent ends the others within
    seconds. Where a signal ended it, this process ends itself by the same: to its runner they are one.
    """
    # Only here, for it takes seconds and most jobs are one process.
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch  # noqa: PLC0415

    os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK)
    os.environ[LAUNCHER] = str(os.getpid())
    with tempfile.TemporaryDirectory(prefix="unmask-ranks-") as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=num_processes,
            run_id=uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            monitor_interval=0.1,
            shutdown_timeout=_SECONDS_TO_END,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        try:
            elastic_launch(config, sys.executable)(*arguments)
        except ChildFailedError as error:
            deaths = {rank: _death(failure) for rank, failure in error.failures.items()}
        except SignalException as error:
            deaths = {0: Death(os.getpid(), -int(error.sigval))}
        else:
            return os.EX_OK
    return _end_as(first_cause(deaths), num_processes)


def first_cause(deaths: Mapping[int, Death]) -> tuple[int, Death]:
    """The process, by rank, that took the others with it, and how it ended."""

    def is_consequence(death: Death) -> bool:
        return death.exit_code in (PEER_LOST, -signal.SIGTERM)

    # A process that was killed cannot have ended because of another's mistake; one with an exit code may have.
    return min(
        deaths.items(), key=lambda item: (is_consequence(item[1]), item[1].exit_code != -signal.SIGKILL, item[0])
    )


def leave_words(words: str) -> None:
    """Leaves the last words of a process that is not the first, which alone can speak, for its launcher to say.

    By torchrun's own means: a file that its agent reads when a process has failed.
    """
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        Path(path).write_text(json.dumps({"message": words, "timestamp": int(time.time())}))


def _death(failure: ProcessFailure) -> Death:
    has_words = os.path.isfile(failure.error_file)
    return Death(failure.pid, failure.exitcode, failure.message if has_words else "")


def _end_as(cause: tuple[int, Death], num_processes: int) -> int:
    rank, death = cause
    who = f"process {rank} of {num_processes} (pid {death.process_id})"
    if death.exit_code == PEER_LOST:
        print("a process has gone or was silent for longer than scaling.timeout_minutes", file=sys.stderr, flush=True)
        return PEER_LOST
    if death.exit_code >= 0:
        words = death.words or f"ended with exit code {death.exit_code}; the lines before say why"
        print(f"{who}: {words}", file=sys.stderr, flush=True)
        return death.exit_code
    number = signal.Signals(-death.exit_code)
    print(f"{who} was ended by {number.name}, so the others were ended too", file=sys.stderr, flush=True)
    if number is not signal.SIGKILL:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
