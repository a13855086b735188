"""Turns the arrays of a group's trajectories into one sample's unmasking steps. Numpy only; knows no file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.schemas.sample import Trajectory, TrajectoryStep

# Codes, where a position is still masked.
MASKED = -1


def build_trajectory(
    sample_id: UUID, index: int, arrays: Mapping[str, NDArray[Any]], frames_url: str, *, is_decoded: bool
) -> Trajectory:
    """One sample's trajectory.

    Args:
        sample_id: the sample.
        index: its place in the group.
        arrays: codes, unmasked_at (G, N); drawn, confidence, entropy (T, G, N); log_prob (T, G); grid (rows, columns);
            codebook_size; transition; window_side, where the pictures are not the policy's own square. Confidence and
            entropy are NaN where a step drew no code: it was fixed before, or, in a picture that grew, no window was
            there yet.
        frames_url: where step t's picture is, once `/t` and its origin are added.
        is_decoded: whether these pictures were decoded, or made of the finished one.
    """
    # The address names what it shows, so that a browser may keep it for good.
    origin = "decoded" if is_decoded else "composed"
    rows, columns = (int(side) for side in arrays["grid"])
    num_steps = arrays["drawn"].shape[0]
    return Trajectory(
        sample_id=sample_id,
        num_rows=rows,
        num_columns=columns,
        window_side=int(arrays["window_side"]) if "window_side" in arrays else min(rows, columns),
        codebook_size=int(arrays["codebook_size"]),
        transition=str(arrays["transition"]),
        is_decoded=is_decoded,
        steps=[_step(step, index, arrays, f"{frames_url}/{step}?origin={origin}") for step in range(num_steps)],
    )


def _step(step: int, index: int, arrays: Mapping[str, NDArray[Any]], image_url: str) -> TrajectoryStep:
    unmasked_at = arrays["unmasked_at"][index]
    was_masked = unmasked_at >= step
    confidence = np.where(was_masked, arrays["confidence"][step, index].astype(np.float64), np.nan)
    entropy = np.where(was_masked, arrays["entropy"][step, index].astype(np.float64), np.nan)
    return TrajectoryStep(
        step=step,
        num_masked_before=int(was_masked.sum()),
        num_unmasked=int((unmasked_at == step).sum()),
        codes=np.where(unmasked_at <= step, arrays["codes"][index], MASKED).tolist(),
        is_newly_unmasked=(unmasked_at == step).tolist(),
        is_remasked=((unmasked_at > step) & np.isfinite(confidence)).tolist(),
        confidence=_numbers(confidence),
        entropy=_numbers(entropy),
        mean_confidence=_mean(confidence),
        mean_entropy=_mean(entropy),
        log_prob=_number(float(arrays["log_prob"][step, index])),
        image_url=image_url,
    )


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _mean(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return _number(float(finite.mean())) if finite.size else None
