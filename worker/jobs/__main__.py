"""`python -m worker.jobs FOLDER`: performs the run of a folder and speaks with its runner over stdin and stdout.

A run of several processes is launched here: the first of them speaks, the others follow it (worker/jobs/launch.py).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from backend.artifacts import FolderBusyError, RunFolder
from backend.schemas.config import run_config_adapter
from backend.schemas.event import Body, Log, StatusChanged
from worker.jobs import run_job
from worker.jobs.device_rate import note_device
from worker.jobs.joining import follow_first, joined_processes
from worker.jobs.launch import PEER_LOST, launch, num_processes_of
from worker.jobs.lines import line_of
from worker.jobs.mistakes import last_words
from worker.jobs.pipe import RunnerPipe, die_with_parent
from worker.jobs.protocol import Job
from worker.jobs.ranks import is_rank, leave, rank
from worker.maskgrpo.processes import PeerLostError

LOCK_SECONDS = 10.0


def main() -> int:
    """The process's exit code: 0 after an outcome, 1 after a mistake that was told, 75 when the folder stays busy."""
    die_with_parent()
    folder = RunFolder(Path(sys.argv[1]))
    if not is_rank() and (num_processes := num_processes_of(folder)) > 1:
        return launch(num_processes, ["-m", "worker.jobs", str(folder.root)])
    if rank() > 0:
        return follow_first(folder)
    pipe = RunnerPipe()
    try:
        with locked(folder):
            config = run_config_adapter.validate_json(folder.read("config.json"))
            note_device(config.policy, folder)
            with joined_processes(config) as processes:
                converse(run_job(config, folder, processes), pipe)
    except PeerLostError as error:
        print(error, file=sys.stderr)
        return PEER_LOST
    except FolderBusyError as error:
        print(error, file=sys.stderr)
        return os.EX_TEMPFAIL
    except (ValueError, OSError) as error:
        pipe.send(Log(level="error", message=last_words(error)))
        return 1
    return 0


def converse(job: Job, pipe: RunnerPipe) -> None:
    """Tells the job's events and gives it the replies; its outcome is the last event. All of it is in the log, too."""
    try:
        body = next(job)
        while True:
            write_log(body)
            pipe.send(body)
            body = job.send(pipe.receive())
    except StopIteration as end:
        outcome = StatusChanged(status=end.value)
        write_log(outcome)
        pipe.send(outcome)


def write_log(body: Body) -> None:
    """A line on stderr, which is the run's log.txt."""
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line_of(body)}", file=sys.stderr, flush=True)


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Holds the run's folder, and waits a little for the job of a lost attempt, which is about to end.

    Raises:
        FolderBusyError: when it does not end.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(folder.lock())
                break
            except FolderBusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield


if __name__ == "__main__":
    leave(main())
