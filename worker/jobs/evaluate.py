"""The evaluate job: one or more policies on the same prompts and seeds, every picture judged, compared and kept."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass

from backend.artifacts import RunFolder
from backend.figures.evaluation import CORRECT, STRICT
from backend.schemas.event import Log, SamplesMade, ScoreMeasured, StepFinished
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import RequestFlags, RunStatus
from backend.schemas.sample import GroupRecord
from worker.benchmarks.table import Table
from worker.jobs.evaluation_judge import EvaluationJudge
from worker.jobs.evaluation_prompts import evaluation_prompts
from worker.jobs.evaluation_scores import EvaluationScores
from worker.jobs.heldout import heldout_seeds
from worker.jobs.policies import load, prepare_torch
from worker.jobs.progress import read_progress, write_progress
from worker.jobs.protocol import Job, outcome_of
from worker.jobs.records import GroupLabel, number
from worker.jobs.showing import show, store_shown
from worker.jobs.start import job_started
from worker.showo.policy import ShowoPolicy


@dataclass(frozen=True)
class Candidate:
    """A policy under evaluation and what was measured of its pictures so far."""

    name: str
    policy: ShowoPolicy
    table: Table


def evaluate_job(config: EvaluateConfig, folder: RunFolder) -> Job:
    """Measures batch by batch; one step is one batch of prompts, with every policy."""
    prepare_torch(config.policy)
    evaluation = Evaluation(config, folder)
    flags = yield job_started(evaluation.done, evaluation.num_steps, evaluation.candidates[0].policy.device)
    if evaluation.done == 0 and (remark := evaluation.without_verdict()):
        flags = yield Log(level="warning", message=remark)
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
    """The prompts, the policies, and how far they are measured."""

    def __init__(self, config: EvaluateConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._prompts = evaluation_prompts(config, folder)
        self._judge = EvaluationJudge(config, folder, self._prompts)
        self._size = max(1, config.batch_size // config.samples_per_prompt)
        self.num_steps = math.ceil(len(self._prompts) / self._size)
        self._scores = EvaluationScores(config, folder, self._prompts, self.num_steps, self._size, self._judge.notes)
        self._seeds = heldout_seeds(config.seed, len(self._prompts), config.samples_per_prompt)
        self.done, noted = read_progress(folder)
        self.candidates = [
            Candidate(name, load(source, folder), Table(len(self._prompts), config.samples_per_prompt))
            for name, source in config.candidates.items()
        ]
        for each in self.candidates:
            each.table.load_state((noted or {}).get(each.name, {}))

    def without_verdict(self) -> str:
        """What to say of prompts that the verifier does not know; empty where it knows all, or others score them."""
        foreign = [prompt.text for prompt in self._prompts if not prompt.is_caption]
        if not foreign or self._judge.ranks_by != CORRECT:
            return ""
        return (
            f"no verdict for {len(foreign)} of {len(self._prompts)} prompts, which are no captions of the small world, "
            f"as {foreign[0]!r}: their pictures are stored without a score. Name rewards to score them with"
        )

    def measure_batch(self, step: int) -> tuple[StepFinished, SamplesMade]:
        """Unmasks and judges one batch with every policy, and stores all its pictures."""
        started = time.monotonic()
        start = (step - 1) * self._size
        num_prompts = len(self._prompts[start : start + self._size])
        groups: list[GroupRecord] = []
        metrics: dict[str, float | None] = {}
        for candidate in self.candidates:
            groups += self._measure(candidate, step, start)
            end = start + num_prompts
            for name in dict.fromkeys((CORRECT, STRICT, self._judge.ranks_by)):
                if name in candidate.table.names:
                    metrics[f"{candidate.name}/{name}"] = number(candidate.table[name][:end].mean())
        seconds = time.monotonic() - started
        return (
            StepFinished(step=step, num_steps=self.num_steps, metrics=metrics, seconds=seconds),
            SamplesMade(
                step=step,
                purpose="evaluate",
                groups=tuple(groups),
                num_done=(start + num_prompts) * self._config.samples_per_prompt,
                num_total=len(self._prompts) * self._config.samples_per_prompt,
            ),
        )

    def write_progress(self, step: int) -> None:
        """Notes what was measured, so that a lost attempt costs one batch."""
        write_progress(self._folder, step, {each.name: each.table.to_state() for each in self.candidates})

    def scores(self) -> Generator[ScoreMeasured, RequestFlags, None]:
        """The figures of every policy, and of every pair with the first."""
        tables = {each.name: each.table for each in self.candidates}
        yield from self._scores.of_all(tables, self._judge.ranks_by)

    def _measure(self, candidate: Candidate, step: int, start: int) -> list[GroupRecord]:
        prompts = self._prompts[start : start + self._size]
        seeds = self._seeds[start : start + self._size]
        shown = show(candidate.policy, [prompt.text for prompt in prompts], seeds, self._config.sampling)
        groups = []
        for index, each in enumerate(self._judge.judge(shown), start):
            candidate.table.enter(index, each.rewards)
            label = GroupLabel(step, index, each.prompt, candidate.name, self._prompts[index].task)
            is_replayed = index < self._config.num_replayed
            framed = (0,) if is_replayed else ()
            groups.append(
                store_shown(self._folder, candidate.policy, each, label, "evaluate", framed, is_replayed=is_replayed)
            )
        return groups
