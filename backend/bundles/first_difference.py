"""Keeps the difference that came first in the order in which a run computes: what is behind it only follows from it.

It knows steps, names and numbers, and trajectories as files; no bundle and no job.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from enum import IntEnum


class Stage(IntEnum):
    """What a step makes, in the order in which one follows from the other."""

    TRAJECTORY = 0
    PICTURE = 1
    REWARD = 2
    METRIC = 3
    STATE = 4
    PROBE = 5
    SCORE = 6


@dataclass(frozen=True)
class Difference:
    """One quantity that is not what it was."""

    step: int
    stage: Stage
    name: str
    said: float | str | None
    """in the bundle; None where it is not finite, or none was told"""
    made: float | str | None
    """in the replay"""
    apart: float | None
    """how far apart: of a metric, reward or score relative to its size, of pictures the mean of 1, of trajectories
    absolute; None where nobody knows"""

    def __str__(self) -> str:
        size = "" if self.apart is None else f", {self.apart:.2g} apart"
        values = "" if self.said is None and self.made is None else f" was {self.said}, here {self.made}"
        return f"step {self.step}, {self.name}{values}{size}"

    def as_dict(self) -> dict[str, object]:
        """For JSON: the stage by its name, and no infinity, which JSON has no word for."""
        own = {name: getattr(self, name) for name in ("step", "name", "said", "made")}
        is_known = self.apart is not None and math.isfinite(self.apart)
        return own | {"apart": self.apart if is_known else None, "stage": self.stage.name.lower()}


def earlier(one: Difference | None, other: Difference) -> Difference:
    """The difference that was computed first; of two at one stage the one that was told first."""
    return one if one is not None and (one.step, one.stage) <= (other.step, other.stage) else other


def of_trajectories(said: bytes, made: bytes, step: int, where: str) -> Difference | None:
    """The first unmasking step at which two groups' trajectories differ, and in what; None where all is equal.

    Args:
        said: the bundle's npz file, see docs/architecture.md.
        made: the replay's.
        step: of training.
        where: which group, in words.
    """
    import numpy as np  # noqa: PLC0415 - only a replay needs it, and the command line starts without.

    first: tuple[int, int] | None = None
    found = None
    with np.load(io.BytesIO(said)) as one, np.load(io.BytesIO(made)) as other:
        # In a step the distributions come first, then what is drawn from them, and the log-prob of that.
        for place, name in enumerate(("entropy", "confidence", "drawn", "log_prob")):
            before, now = (np.asarray(each[name], dtype=np.float64) for each in (one, other))
            if before.shape != now.shape:
                return Difference(step, Stage.TRAJECTORY, f"{name} of {where}", str(before.shape), str(now.shape), None)
            is_other = ~np.isclose(before, now, rtol=0, atol=0, equal_nan=True)
            if not is_other.any():
                continue
            at = int(is_other.reshape(len(is_other), -1).any(axis=1).argmax())
            if first is None or (at, place) < first:
                first = at, place
                apart = float(
                    np.nan_to_num(np.abs(before - now)[at], nan=math.inf, posinf=math.inf)[is_other[at]].max()
                )
                told = f"{name} of {where} from unmasking step {at + 1} on"
                found = Difference(step, Stage.TRAJECTORY, told, None, None, apart)
    return found
