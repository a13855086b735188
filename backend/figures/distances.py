"""FID's and KID's differences between two policies, from what is left of each without a part of the prompts.

It is given figures: where features and reference come from it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.figures.jackknife import Jackknifed
from backend.figures.scores import Figures

FID, FID_INFINITY, KID, KID_ERROR = "fid", "fid_infinity", "kid", "kid_standard_error"


@dataclass(frozen=True, eq=False)
class Distances:
    """A policy's figures, and those that are compared without each part of the prompts, by figure."""

    figures: Figures = field(default_factory=Figures)
    parts: Mapping[str, Jackknifed] = field(default_factory=dict)


def distance_differences(base: Distances, tuned: Distances) -> Figures:
    """Tuned minus base of each distance, paired: both leave out the same prompts, and the reference is the same.

    No interval where the parts of either are not known.
    """
    values, intervals = {}, {}
    for name in (FID, FID_INFINITY, KID):
        one, two = base.figures.values.get(name), tuned.figures.values.get(name)
        if one is None or two is None:
            continue
        values[name] = two - one
        parts = KID if name == KID else FID
        if parts in base.parts and parts in tuned.parts:
            of_subsets = sum((each.figures.values[KID_ERROR] or 0.0) ** 2 for each in (base, tuned) if name == KID)
            intervals[name] = (tuned.parts[parts] - base.parts[parts]).interval(two - one, of_subsets)
    return Figures(dict(values), intervals)
