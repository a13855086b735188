"""What every job does first: set torch up, say where it goes on, and on what."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from backend.schemas.event import JobStarted

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
        versions={"python": platform.python_version()} | {name: _version_of(name) for name in _PACKAGES},
        device=device_name(device) + ("" if num_processes == 1 else f", {num_processes} processes"),
    )


def device_name(device: torch.device) -> str:
    """The device in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
