"""The figures that an evaluation ends with: every policy's own, and each one's difference to the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backend.artifacts import RunFolder
from backend.figures.scores import Figures, mean_differences, means, share_differences, shares, wins
from backend.schemas.event import ScoreMeasured
from backend.schemas.picture_runs import POLICY, EvaluateConfig
from worker.benchmarks.distance_figures import distance_differences
from worker.benchmarks.table import Table
from worker.jobs.evaluation_features import Features
from worker.jobs.evaluation_judge import CORRECT, GENEVAL, STRICT
from worker.jobs.evaluation_prompts import EvaluationPrompt

# What is a share of ones: by name, how its mean over tasks is called and what follows a task's name.
_SHARES = {CORRECT: ("overall", ""), STRICT: ("strict", "_strict")}
_SHARES_OF_GENEVAL = {GENEVAL: ("overall", "")}


class EvaluationScores:
    """Knows the prompts and where the pictures lie; is given the tables."""

    def __init__(
        self,
        config: EvaluateConfig,
        folder: RunFolder,
        prompts: Sequence[EvaluationPrompt],
        step: int,
        batch_size: int,
        notes: Mapping[str, str],
    ) -> None:
        self._config = config
        self._tasks = [prompt.task for prompt in prompts]
        self._shares = _SHARES if config.geneval is None else _SHARES_OF_GENEVAL
        self._benchmark = "mini-geneval" if all(prompt.is_caption for prompt in prompts) else "prompts"
        if config.geneval is not None:
            self._benchmark = GENEVAL
        self._step = step
        self._features = Features(config, folder, len(prompts), batch_size)
        self._notes = dict(notes)

    def of_all(self, tables: Mapping[str, Table], ranks_by: str) -> Iterator[ScoreMeasured]:
        """Every policy's figures, then the differences: `difference` of the policy, `difference:<label>` of others."""
        distances = {}
        for name, table in tables.items():
            measured = self._features.measure(name, table)
            distances[name] = measured.distances
            yield self._measured(name, self._own(table) | measured.distances.figures, self._notes | measured.notes)
        first, *others = tables
        for name in others:
            figures = self._difference(tables[first], tables[name])
            figures |= distance_differences(distances[first], distances[name])
            figures |= wins(tables[first][ranks_by], tables[name][ranks_by])
            yield self._measured(difference_name(name), figures, self._notes)

    def _own(self, table: Table) -> Figures:
        found = Figures()
        for name in table.names:
            if name in self._shares:
                found |= shares(self._tasks, table[name], *self._shares[name])
            else:
                found |= means(name, table[name])
        return found

    def _difference(self, base: Table, tuned: Table) -> Figures:
        found = Figures()
        for name in base.names:
            if name in self._shares:
                found |= share_differences(self._tasks, base[name], tuned[name], *self._shares[name])
            else:
                found |= mean_differences(name, base[name], tuned[name])
        return found

    def _measured(self, name: str, figures: Figures, notes: Mapping[str, str]) -> ScoreMeasured:
        return ScoreMeasured(
            step=self._step,
            benchmark=self._benchmark,
            policy=name,
            values=figures.values,
            intervals=figures.intervals,
            num_prompts=len(self._tasks),
            samples_per_prompt=self._config.samples_per_prompt,
            notes=dict(notes),
        )


def difference_name(policy: str) -> str:
    """The name of a policy's difference to the first one."""
    return "difference" if policy == POLICY else f"difference:{policy}"
