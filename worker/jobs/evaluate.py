"""The evaluate job: held-out mini-GenEval of a policy, or of a policy and its base on the same captions and seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass

from backend.artifacts import RunFolder
from backend.schemas.event import SamplesMade, ScoreMeasured, StepFinished
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import RequestFlags, RunStatus
from backend.schemas.sample import GroupRecord
from worker.jobs.heldout import Outcomes, difference, heldout_seeds, score
from worker.jobs.policies import load, prepare_torch
from worker.jobs.progress import read_progress, write_progress
from worker.jobs.prompts import heldout_captions
from worker.jobs.protocol import Job, outcome_of
from worker.jobs.records import GroupLabel, number
from worker.jobs.showing import show, store_shown
from worker.jobs.start import job_started
from worker.showo.policy import ShowoPolicy

# The pictures of this many captions are stored, ten a task; all are scored.
_NUM_SHOWN = 60


@dataclass(frozen=True)
class Candidate:
    """A policy under evaluation and what became of its pictures so far."""

    name: str
    policy: ShowoPolicy
    outcomes: Outcomes


def evaluate_job(config: EvaluateConfig, folder: RunFolder) -> Job:
    """Measures batch by batch; one step is one batch of captions, with every policy."""
    prepare_torch(config.policy)
    evaluation = Evaluation(config, folder)
    flags = yield job_started(evaluation.done, evaluation.num_steps, evaluation.candidates[0].policy.device)
    for step in range(evaluation.done + 1, evaluation.num_steps + 1):
        if outcome := outcome_of(flags):
            return outcome
        finished, made = evaluation.measure_batch(step)
        yield finished
        flags = yield made
        evaluation.write_progress(step)
    yield from evaluation.scores()
    return RunStatus.SUCCEEDED


class Evaluation:
    """The captions, the policies, and how far they are measured."""

    def __init__(self, config: EvaluateConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._captions = heldout_captions(config.num_prompts, "num_prompts")
        self._seeds = heldout_seeds(config.seed, config.num_prompts, config.samples_per_prompt)
        self._size = max(1, config.batch_size // config.samples_per_prompt)
        self.num_steps = math.ceil(config.num_prompts / self._size)
        self.done, noted = read_progress(folder)
        sources = {"base": config.base, "policy": config.policy}
        self.candidates = [
            Candidate(name, load(source, folder), self._outcomes(noted, name))
            for name, source in sources.items()
            if source is not None
        ]

    def measure_batch(self, step: int) -> tuple[StepFinished, SamplesMade]:
        """Unmasks and judges one batch with every policy, and stores the first captions' pictures."""
        started = time.monotonic()
        start = (step - 1) * self._size
        part = slice(start, start + self._size)
        groups: list[GroupRecord] = []
        metrics: dict[str, float | None] = {}
        texts = [caption.text for caption in self._captions[part]]
        for candidate in self.candidates:
            shown = show(candidate.policy, texts, self._seeds[part], self._config.sampling)
            candidate.outcomes.enter(start, shown)
            for index, each in enumerate(shown[: max(0, _NUM_SHOWN - start)], start):
                label = GroupLabel(step, index, each.prompt, candidate.name)
                groups.append(store_shown(self._folder, candidate.policy, each, label, "evaluate", framed=(0,)))
            for name, scores in (("correct", candidate.outcomes.correct), ("strict", candidate.outcomes.strict)):
                metrics[f"{candidate.name}/{name}"] = number(scores[: part.stop].mean())
        seconds = time.monotonic() - started
        return (
            StepFinished(step=step, num_steps=self.num_steps, metrics=metrics, seconds=seconds),
            SamplesMade(
                step=step,
                purpose="evaluate",
                groups=tuple(groups),
                num_done=(start + len(texts)) * self._config.samples_per_prompt,
                num_total=len(self._captions) * self._config.samples_per_prompt,
            ),
        )

    def write_progress(self, step: int) -> None:
        """Notes what was measured, so that a lost attempt costs one batch."""
        write_progress(self._folder, step, {each.name: each.outcomes.to_state() for each in self.candidates})

    def scores(self) -> Generator[ScoreMeasured, RequestFlags, None]:
        """The figures of every policy, and of the pair."""
        for each in self.candidates:
            yield score(self.num_steps, each.name, self._captions, each.outcomes)
        if len(self.candidates) == 2:
            base, tuned = (candidate.outcomes for candidate in self.candidates)
            yield difference(self.num_steps, self._captions, base, tuned)

    def _outcomes(self, noted: dict[str, dict[str, list[list[int]]]] | None, name: str) -> Outcomes:
        if noted is not None:
            return Outcomes.from_state(noted[name])
        return Outcomes.none_yet(self._config.num_prompts, self._config.samples_per_prompt)
