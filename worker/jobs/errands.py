"""What the first of several processes tells the others to do with it: a step, or what needs all parts of the weights.

Where every process holds all weights, steps alone are common work; where they are sharded, so are the state of a
checkpoint, the weights of an export and every picture that the first one makes besides.
"""

from __future__ import annotations

from enum import StrEnum


class Errand(StrEnum):
    """One piece of common work."""

    STEP = "step"
    STATE = "state"  # Gather all that a checkpoint holds.
    WEIGHTS = "weights"  # Gather the policy as it is evaluated.
    BASE = "base"  # Look at the reference, for the probe.
    PROBE = "probe"
    SAMPLE = "sample"
    END = "end"
