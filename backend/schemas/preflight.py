"""The dictionary's preflight: what a run would need, on which device, and what to change where it does not fit."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from backend.schemas.base import Timestamp, WireModel
from backend.schemas.config import RunConfig


class Accelerator(StrEnum):
    """GPUs whose memory and peak rate their makers publish."""

    RTX_3090 = "RTX 3090"
    RTX_4090 = "RTX 4090"
    L40S = "L40S"
    A100_40GB = "A100 40GB"
    A100_80GB = "A100 80GB"
    H100 = "H100"
    H200 = "H200"


class PreflightRequest(WireModel):
    """A configuration, and the device to think of; without one, that of the worker that was heard from last."""

    config: RunConfig
    accelerator: Accelerator | None = Field(None, description="A GPU by name: its memory and its published peak rate")
    memory_gib: float | None = Field(
        None, gt=0, le=100_000, description="Memory of one device in GiB, where it is another than the named one's"
    )


class MeasuredDevice(WireModel):
    """What the first job on a machine measured of its device."""

    host: str
    name: str
    kind: Literal["cpu", "cuda"]
    memory_bytes: int
    float32_rate: float = Field(description="Operations a second in products of large float32 matrices")
    bfloat16_rate: float
    bandwidth: float = Field(description="Bytes a second, read and written, of copies larger than any cache")
    measured_at: Timestamp


class PreflightDevice(WireModel):
    """What the estimate was made for, and where its figures come from."""

    name: str
    kind: Literal["cpu", "cuda"]
    memory_bytes: int | None = Field(description="Of one device; null = unknown")
    memory_source: str
    operations_per_second: float = Field(description="Of matrix products that the run is expected to reach")
    bytes_per_second: float = Field(description="Of its memory, read and written, for all that is no matrix product")
    rate_source: str = Field(description="Measured, or which published figure and which assumed share of it")


class MemoryPart(WireModel):
    """Bytes of one part, at the moment when the most is held."""

    name: str
    num_bytes: int
    what: str


class MemoryMoment(WireModel):
    """Bytes that a process holds at one moment of a step."""

    name: str
    num_bytes: int


class PreflightChange(WireModel):
    """One thing to change, with the figures after it and all the changes before it."""

    setting: str
    value: str
    why: str
    peak_bytes: int
    seconds_a_step: float
    fits: bool


class Preflight(WireModel):
    """Memory and time that one process of the run needs."""

    device: PreflightDevice
    parts: tuple[MemoryPart, ...] = Field(description="What is held at the peak, largest first")
    moments: tuple[MemoryMoment, ...]
    peak_bytes: int
    peak_moment: str
    fits: bool | None = Field(description="Whether the peak fits with a tenth to spare; null = memory unknown")
    seconds_rollout: float
    seconds_update: float
    seconds_judging: float = Field(0.0, description="Of an evaluation: its networks look at the step's pictures")
    seconds_a_step: float
    seconds_in_all: float
    num_steps: int
    changes: tuple[PreflightChange, ...] = Field(description="In the order to make them; empty where it fits")
    refusals: tuple[str, ...] = Field((), description="Why the run would be refused, or fail at once, fit or not")
    notes: tuple[str, ...] = Field(description="What the estimate assumes or leaves out")
