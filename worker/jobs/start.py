"""What every job does first: set torch up, say where it goes on, and on what."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from backend.artifacts import RunFolder
from backend.schemas.event import JobStarted, Log
from backend.schemas.run import RequestFlags
from worker.jobs.checkpoints import Checkpoint, saved_again, set_damaged_aside
from worker.jobs.protocol import JobPart

_PACKAGES = ("unmask-studio", "torch", "transformers", "safetensors", "numpy")


def job_started(
    from_step: int,
    num_steps: int,
    device: torch.device,
    state_hash: str | None = None,
    is_state_equal: bool | None = None,
    num_processes: int = 1,
) -> JobStarted:
    """The first event of a job."""
    return JobStarted(
        from_step=from_step,
        num_steps=num_steps,
        state_hash=state_hash,
        is_state_equal=is_state_equal,
        versions=package_versions(),
        device=device_name(device) + ("" if num_processes == 1 else f", {num_processes} processes"),
    )


def package_versions() -> dict[str, str]:
    """What figures may depend on: Python's and the packages' versions, the hash of our own code, the make of CPU."""
    packages = {name: _version_of(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "code": code_hash(), "cpu": cpu_name()} | packages


@cache
def cpu_name() -> str:
    """The processor, where the system tells it, and the instructions that torch takes its sums with."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


@cache
def code_hash() -> str:
    """The first 12 digits of a SHA-256 over the worker's source files: what the version's number does not tell."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def checkpoints_told(
    folder: RunFolder, checkpoint: Checkpoint | None, problems: list[str], flags: RequestFlags
) -> JobPart:
    """What follows the first event: damaged checkpoints go aside and are told of, the one gone on from is told again.

    Not before the first event is recorded: until then there are rows that name them.
    """
    set_damaged_aside(folder, 0 if checkpoint is None else checkpoint.step)
    for problem in problems:
        flags = yield Log(level="warning", message=problem)
    if checkpoint is not None:
        flags = yield saved_again(folder, checkpoint)
    return flags


def device_name(device: torch.device) -> str:
    """The device in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
