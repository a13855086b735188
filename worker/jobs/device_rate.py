"""Each job measures how fast its device is for a moment, so that the preflight of later runs need not guess."""

from __future__ import annotations

import logging
import platform
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import psutil
import torch

from backend.artifacts import RunFolder, write_atomically
from backend.preflight.devices import devices_folder, read_devices
from backend.schemas.every_run import PolicyConfig
from backend.schemas.preflight import MeasuredDevice
from worker.jobs.policies import device_of, prepare_torch

_log = logging.getLogger(__name__)

_NUM_TRIES = 3
_COPIED_BYTES = 64 << 20
# Sides of the matrices, and products a try: large enough for the device's rate, over in a tenth of a second.
_CPU_SIDE, _CPU_HALF_SIDE, _CUDA_SIDE = 1024, 512, 8192


def note_device(config: PolicyConfig, folder: RunFolder) -> None:
    """Measures the job's device and writes it beside the runs, a file a machine and kind of device.

    The fastest measurement stays: a slower one met a busy machine or had fewer threads. A device that cannot be
    measured, as one whose memory others hold, is left to the run itself.
    """
    device, host = device_of(config), socket.gethostname()
    path = devices_folder(folder.root.parent) / f"{host}-{device.type}.json"
    prepare_torch(config)
    found = _measured(device, host)
    if device.type == "cuda":
        # The matrices' blocks would stay with torch's allocator, and the run needs the memory in other sizes.
        torch.cuda.empty_cache()
    if found is None:
        return
    earlier = [each for each in read_devices(path.parent) if (each.host, each.kind) == (host, device.type)]
    if any(each.float32_rate >= found.float32_rate for each in earlier):
        return
    # An estimate is not worth a run: where the file cannot be written, the next job tries again.
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, found.model_dump_json().encode())


def _measured(device: torch.device, host: str) -> MeasuredDevice | None:
    """None where torch cannot do it: by its return the error and all that its frames held are gone."""
    try:
        return measure(device, host)
    except RuntimeError as error:
        _log.warning("the device's rate was not measured, the run goes on: %s", error)
        return None


def measure(device: torch.device, host: str) -> MeasuredDevice:
    """Times products of matrices and a copy, the best of three; draws no random numbers."""
    is_gpu = device.type == "cuda"
    side, half_side = (_CUDA_SIDE, _CUDA_SIDE) if is_gpu else (_CPU_SIDE, _CPU_HALF_SIDE)
    source = torch.zeros(_COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    memory = torch.cuda.get_device_properties(device).total_memory if is_gpu else psutil.virtual_memory().total
    return MeasuredDevice(
        host=host,
        name=torch.cuda.get_device_name(device)
        if is_gpu
        else f"{platform.machine()}, {torch.get_num_threads()} threads",
        kind="cuda" if is_gpu else "cpu",
        memory_bytes=memory,
        float32_rate=_rate(side, torch.float32, device),
        bfloat16_rate=_rate(half_side, torch.bfloat16, device),
        bandwidth=2 * _COPIED_BYTES / _seconds(lambda: target.copy_(source), device),
        measured_at=datetime.now(UTC),
    )


def _rate(side: int, dtype: torch.dtype, device: torch.device) -> float:
    matrix = torch.full((side, side), 0.5, dtype=dtype, device=device)
    return float(2 * side**3 / _seconds(lambda: matrix @ matrix, device))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The best of some tries, after one that warms up."""
    taken = []
    for _ in range(1 + _NUM_TRIES):
        _wait_for(device)
        started = time.perf_counter()
        work()
        _wait_for(device)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
