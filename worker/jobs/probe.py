"""Held-out scoring while training goes on, paired with the base from step 0, and the pictures a person asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.artifacts import RunFolder
from backend.schemas.algorithm import SamplingConfig
from backend.schemas.config import TrainConfig
from backend.schemas.event import SamplesMade, ScoreMeasured
from worker.jobs.heldout import Outcomes, difference, heldout_seeds, measure, score
from worker.jobs.prompts import heldout_captions
from worker.jobs.protocol import JobPart
from worker.jobs.records import GroupLabel
from worker.jobs.showing import Shown, show, store_shown
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy

NUM_SHOWN = 12
_BATCH = 64
_NUM_SAMPLES_NOW = 4
_NUM_PROMPTS_NOW = 6


class Probe:
    """Always the same captions and seeds, so that what differs is the policy."""

    def __init__(self, config: TrainConfig) -> None:
        num_prompts = config.probe.num_prompts
        if 0 < num_prompts < 6:
            raise ValueError(
                f"probe.num_prompts is {num_prompts}: give at least 6, one for each task, or 0 for no probe"
            )
        self._captions = heldout_captions(num_prompts, "probe.num_prompts")
        self._seeds = heldout_seeds(config.seed, num_prompts, 1)
        self._sampling = config.evaluation_sampling
        self._base: Outcomes | None = None
        self.against_base: ScoreMeasured | None = None
        """the newest difference from the base, once the policy was measured"""

    @property
    def is_wanted(self) -> bool:
        """Whether the run has a probe at all."""
        return bool(self._captions)

    @property
    def has_base(self) -> bool:
        """Whether the base was measured."""
        return self._base is not None

    def measure_base(self, base: Policy, folder: RunFolder) -> JobPart:
        """Measures the policy that the run starts from, once."""
        self._base, shown = self._measure(base)
        yield score(0, "base", self._captions, self._base)
        return (yield self._store(folder, base, shown, 0, "base"))

    def measure(self, policy: Policy, folder: RunFolder, step: int) -> JobPart:
        """Measures the policy as it is now, and its difference from the base."""
        assert self._base is not None, "the base is measured before the first step"
        outcomes, shown = self._measure(policy)
        yield score(step, "policy", self._captions, outcomes)
        self.against_base = difference(step, self._captions, self._base, outcomes)
        yield self.against_base
        return (yield self._store(folder, policy, shown, step, "policy"))

    def accompany(self, policy: Policy) -> None:
        """Makes the pictures of `measure` and keeps none: another process needs this one's part of each pass."""
        self._measure(policy)

    def state_dict(self) -> dict[str, Any]:
        """The base's outcomes."""
        return {"base": None if self._base is None else self._base.to_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self._base = None if state["base"] is None else Outcomes.from_state(state["base"])

    def _measure(self, policy: Policy) -> tuple[Outcomes, list[Shown]]:
        return measure(policy, self._captions, self._seeds, self._sampling, _BATCH, NUM_SHOWN)

    def _store(self, folder: RunFolder, policy: Policy, shown: list[Shown], step: int, name: str) -> SamplesMade:
        groups = tuple(
            store_shown(folder, policy, each, GroupLabel(step, index, each.prompt, name), "probe", framed=(0,))
            for index, each in enumerate(shown)
        )
        total = len(self._captions)
        return SamplesMade(step=step, purpose="probe", groups=groups, num_done=total, num_total=total)


def sample_now(
    sampling: SamplingConfig, seed: int, texts: Sequence[str], policy: Policy, folder: RunFolder, step: int
) -> SamplesMade:
    """Pictures of the policy as it is now: of own prompts, or of a held-out caption of each task."""
    groups = tuple(
        store_shown(folder, policy, each, GroupLabel(step, index, each.prompt, "policy"), "sample_now", framed=(0,))
        for index, each in enumerate(shown_now(sampling, seed, texts, policy))
    )
    num_pictures = len(groups) * _NUM_SAMPLES_NOW
    return SamplesMade(step=step, purpose="sample_now", groups=groups, num_done=num_pictures, num_total=num_pictures)


def shown_now(sampling: SamplingConfig, seed: int, texts: Sequence[str], policy: Policy) -> list[Shown]:
    """The pictures of `sample_now`, not yet stored."""
    prompts = list(texts) or [caption.text for caption in heldout_captions(_NUM_PROMPTS_NOW, "captions")]
    prompts = prompts[:_NUM_PROMPTS_NOW]
    seeds = [
        tuple(derived_seed(seed, "sample now", row, sample) for sample in range(_NUM_SAMPLES_NOW))
        for row in range(len(prompts))
    ]
    return show(policy, prompts, seeds, sampling)
