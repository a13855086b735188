"""How much memory a device has and how fast it is: measured where a job measured it, else published figures by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from backend.schemas.preflight import Accelerator, MeasuredDevice, PreflightDevice

GIB = 1 << 30
TRILLION, BILLION = 1e12, 1e9

# What such a model is assumed to reach of a data sheet's peak rates.
ASSUMED_SHARE = 0.4
# What a rollout of the real size reached of the rate of bfloat16 products that a job measures: an H200, 512 px.
REACHED_SHARE = 0.36
# A core of the last ten years, where nobody measured: two AVX2 units, a multiplication and an addition each, 2.5 GHz.
ASSUMED_CORE_RATE = 2 * 8 * 2 * 2.5e9
ASSUMED_BANDWIDTH = 8e9


@dataclass(frozen=True)
class DataSheet:
    """What the maker says of a GPU: memory, dense peak rates (no sparsity, no TF32), bandwidth of its memory."""

    memory_gib: float
    float32_rate: float
    bfloat16_rate: float
    bandwidth: float


DATA_SHEETS: Mapping[Accelerator, DataSheet] = {
    Accelerator.RTX_3090: DataSheet(24, 35.6 * TRILLION, 71 * TRILLION, 936 * BILLION),
    Accelerator.RTX_4090: DataSheet(24, 82.6 * TRILLION, 165.2 * TRILLION, 1008 * BILLION),
    Accelerator.L40S: DataSheet(48, 91.6 * TRILLION, 362 * TRILLION, 864 * BILLION),
    Accelerator.A100_40GB: DataSheet(40, 19.5 * TRILLION, 312 * TRILLION, 1555 * BILLION),
    Accelerator.A100_80GB: DataSheet(80, 19.5 * TRILLION, 312 * TRILLION, 2039 * BILLION),
    Accelerator.H100: DataSheet(80, 67 * TRILLION, 989 * TRILLION, 3350 * BILLION),
    Accelerator.H200: DataSheet(141, 67 * TRILLION, 989 * TRILLION, 4800 * BILLION),
}


def named_device(accelerator: Accelerator, memory_gib: float | None, *, is_half: bool) -> PreflightDevice:
    """A GPU by its data sheet."""
    sheet = DATA_SHEETS[accelerator]
    peak, word = (sheet.bfloat16_rate, "bfloat16") if is_half else (sheet.float32_rate, "float32")
    return PreflightDevice(
        name=accelerator.value,
        kind="cuda",
        memory_bytes=int((memory_gib or sheet.memory_gib) * GIB),
        memory_source="asked for" if memory_gib else "its maker's data sheet",
        operations_per_second=ASSUMED_SHARE * peak,
        bytes_per_second=ASSUMED_SHARE * sheet.bandwidth,
        rate_source=f"assumed: {ASSUMED_SHARE:.0%} of the {peak / TRILLION:.0f} trillion {word} operations and the "
        f"{sheet.bandwidth / BILLION:.0f} GB a second of its maker's data sheet",
    )


def measured_device(found: MeasuredDevice, memory_gib: float | None, *, is_half: bool) -> PreflightDevice:
    """A device that a job measured."""
    rate = found.bfloat16_rate if is_half else found.float32_rate
    is_reached = is_half and found.kind == "cuda"
    share = f", of which such a model reaches {REACHED_SHARE:.0%}" if is_reached else ""
    return PreflightDevice(
        name=found.name,
        kind=found.kind,
        memory_bytes=found.memory_bytes if memory_gib is None else int(memory_gib * GIB),
        memory_source=f"measured on {found.host}" if memory_gib is None else "asked for",
        operations_per_second=rate * (REACHED_SHARE if is_reached else 1.0),
        bytes_per_second=found.bandwidth,
        rate_source=f"measured on {found.host}: {rate / BILLION:.0f} billion operations a second in matrix products"
        f"{share}, {found.bandwidth / BILLION:.1f} GB a second in copies",
    )


def unmeasured_cpu(num_cores: int, memory_gib: float | None, memory_source: str) -> PreflightDevice:
    """A CPU on which no job has run yet."""
    rate = ASSUMED_CORE_RATE * num_cores
    return PreflightDevice(
        name=f"CPU, {num_cores} cores",
        kind="cpu",
        memory_bytes=None if memory_gib is None else int(memory_gib * GIB),
        memory_source=memory_source,
        operations_per_second=rate,
        bytes_per_second=ASSUMED_BANDWIDTH,
        rate_source=f"assumed: {rate / BILLION:.0f} billion operations and {ASSUMED_BANDWIDTH / BILLION:.0f} GB a "
        "second from the number of cores; the first job on a machine measures it",
    )


def devices_folder(runs_dir: Path) -> Path:
    """Where jobs note what they measured, a file a machine and kind of device."""
    return runs_dir.parent / "devices"


def read_devices(folder: Path) -> list[MeasuredDevice]:
    """What jobs have measured, the newest first; a file that cannot be read counts as none."""
    found = []
    for path in folder.glob("*.json") if folder.is_dir() else ():
        try:
            found.append(MeasuredDevice.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return sorted(found, key=lambda device: device.measured_at, reverse=True)
