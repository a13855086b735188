"""A reward model of this studio, tuned on people's votes: a CLIP in open_clip's format with a report beside it.

It loads what it is given: whether the model is better than chance, the caller has asked (backend/reward_reports.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from backend.reward_reports import read_report
from worker.rewards.clip_models import OPEN_CLIP_CONFIG, ClipModel, load_clip
from worker.rewards.clip_score import refuse_unknown
from worker.rewards.weights import Published, read_json

LEARNED = Published("learned", "Set its source to run:<id> of a reward_model run that has succeeded")


@dataclass(frozen=True, eq=False)
class LearnedReward:
    """(logit scale times cosine - centre) / temperature.

    The difference of two pictures' scores is the logarithm of the odds with which people would prefer the first, as
    far as the report's calibration goes; 0 is the mean of the pictures that the model learned from.
    """

    clip: ClipModel
    logit_scale: float
    """read before the network is put into another precision, where it would be rounded: every score has it"""
    centre: float
    temperature: float
    words: frozenset[str] | None = None
    """the only words that the model knows; None = any text"""

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32 for (B, 3, H, W) pictures in [0, 1] and B prompts.

        Raises:
            ValueError: the model knows a few words only, and a prompt has others.
        """
        if self.words is not None:
            refuse_unknown(prompts, self.words)
        return (self.logit_scale * self.clip.cosines(pictures, prompts) - self.centre) / self.temperature


def load_learned(source: str) -> LearnedReward:
    """Load an exported reward model from its folder.

    Raises:
        ValueError: it is not there, or its files are broken.
    """
    folder = Path(source).expanduser()
    report = read_report(folder)
    named = read_json(folder / OPEN_CLIP_CONFIG).get("known_words")
    words = None if named is None else frozenset(named)
    clip = load_clip(folder, LEARNED)
    return LearnedReward(clip, clip.logit_scale, report.centre, report.calibration.temperature, words)
