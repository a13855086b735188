"""A job in its own process group, as its runner sees it: events come out, replies go in, last words stay behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from backend.artifacts import RunFolder
from backend.schemas.config import run_config_adapter
from backend.schemas.event import Body, event_body_adapter
from backend.schemas.memory_advice import memory_advice
from backend.schemas.run import RequestFlags

_ROOT = Path(__file__).resolve().parent.parent
_LOG = "log.txt"
_TAIL_BYTES = 4000
_SECRETS = ("DATABASE_URL", "BROKER_URL", "UNMASK_DATABASE_URL", "UNMASK_BROKER_URL")
# A job that saw these would wait for processes that nobody starts.
_OF_TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

# glibc's malloc gives large blocks back to the kernel at once and pays for it with page faults: half of a CPU job's
# time. Threads that wait by spinning take the cores from the neighbours.
_CPU_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_WAIT_POLICY": "PASSIVE",
}


class JobProcess:
    """A running `python -m worker.jobs`."""

    def __init__(self, folder: RunFolder, config: Mapping[str, Any]) -> None:
        folder.write("config.json", json.dumps(config, indent=1).encode())
        self._config = config
        self._log_path = folder.path(_LOG)
        with self._log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.jobs", str(folder.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=_ROOT,
                env=job_environment(config, os.environ),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id, which is its group's as well."""
        return self._process.pid

    def events(self) -> Iterator[Body]:
        """What the job tells, until it ends. A line that is no event is none of ours and goes to the log."""
        for line in _pipe(self._process.stdout):
            try:
                yield event_body_adapter.validate_json(line)
            except ValidationError:
                with self._log_path.open("ab") as log:
                    log.write(line)

    def reply(self, flags: RequestFlags) -> None:
        """Tells the job that its event is recorded, and what was asked of the run."""
        try:
            pipe = _pipe(self._process.stdin)
            pipe.write(flags.model_dump_json().encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            return  # It died meanwhile: its events end, and its exit code says why.

    def wait(self) -> int:
        """The exit code; negative for the signal that ended it."""
        return self._process.wait()

    def kill(self) -> None:
        """Ends the job and all that it started, at once: its files are atomic. Doing it twice does no harm."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills what still runs and lets go of the pipes."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                _pipe(pipe).close()
            except BrokenPipeError:
                continue  # A reply that nobody will read was still in the buffer.

    def last_words(self) -> str:
        """Why it ended, in a sentence, from its exit code and the end of its log."""
        with self._log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL_BYTES))
            tail = log.read().decode(errors="replace")
        return death_notice(self.wait(), tail, self._config)


def job_environment(config: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """What a job's process sees: no addresses of servers, what makes a CPU fast, and no hub unless a person allows it.

    `HF_HUB_OFFLINE=0` in the worker's own environment lets a policy's hub name be fetched.
    """
    kept = {name: value for name, value in environment.items() if name not in _SECRETS + _OF_TORCHRUN}
    own = {"HF_HUB_OFFLINE": kept.get("HF_HUB_OFFLINE") or "1"}
    own |= {"TOKENIZERS_PARALLELISM": "false", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    policy = config.get("policy", {})
    if policy.get("device") != "cuda":
        own |= _CPU_ENVIRONMENT
    if policy.get("num_threads"):
        own["OMP_NUM_THREADS"] = str(policy["num_threads"])
    return kept | own | {"PYTHONUNBUFFERED": "1"}


def death_notice(exit_code: int, tail: str, config: Mapping[str, Any]) -> str:
    """What became of a job that ended without an outcome, and what to do."""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    last_line = re.sub(r"^ValueError: ", "", lines[-1]) if lines else "it left no words in its log"
    if "out of memory" in tail.lower() or "memoryerror" in tail.lower():
        return f"the job ran out of memory ({last_line}). In this order: {_advice(config)}; then clone the run"
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = f": often the kernel's answer when memory runs out; in this order: {_advice(config)}"
        hint = hint if name == "SIGKILL" else ""
        return f"the job was ended by {name}{hint}. Its last words: {last_line}"
    return f"the job ended with exit code {exit_code}: {last_line}"


def _advice(config: Mapping[str, Any]) -> str:
    try:
        advice = memory_advice(run_config_adapter.validate_python(config))
    except ValidationError:
        advice = ()
    return "; ".join(advice) or "take a machine with more memory"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
