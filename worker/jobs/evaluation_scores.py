"""The figures that an evaluation ends with: every policy's own, and each one's difference to the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backend.artifacts import RunFolder
from backend.evaluation_files import StoredMeasures, write_measures
from backend.figures.evaluation import DIVERSITY, DUPLICATES, GENEVAL, PIXELS, Measures, difference, share_names
from backend.figures.scores import Figures, means, shares
from backend.schemas.event import ScoreMeasured
from backend.schemas.picture_runs import EvaluateConfig, difference_name
from worker.benchmarks.table import Table
from worker.jobs.evaluation_features import Features
from worker.jobs.evaluation_prompts import EvaluationPrompt
from worker.jobs.records import number


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
        self._is_geneval = config.geneval is not None
        self._benchmark = "mini-geneval" if all(prompt.is_caption for prompt in prompts) else "prompts"
        if self._is_geneval:
            self._benchmark = GENEVAL
        self._step = step
        self._folder = folder
        self._features = Features(config, folder, len(prompts), batch_size)
        self._notes = dict(notes)

    def of_all(self, tables: Mapping[str, Table], ranks_by: str) -> Iterator[ScoreMeasured]:
        """Every policy's figures, then the differences: `difference` of the policy, `difference:<label>` of others."""
        measures = {}
        for name, table in tables.items():
            measured = self._features.measure(name, table)
            measures[name] = Measures(table.scores, table[ranks_by], measured.distances)
            yield self._measured(name, self._own(table) | measured.distances.figures, self._notes | measured.notes)
        stored = {name: _stored(each) for name, each in measures.items()}
        if any(each.by_prompt or each.without for each in stored.values()):
            write_measures(self._folder, stored)
        first, *others = measures.values()
        for name, other in zip(list(measures)[1:], others, strict=True):
            figures = difference(self._tasks, first, other, is_geneval=self._is_geneval)
            yield self._measured(difference_name(name), figures, self._notes)

    def _own(self, table: Table) -> Figures:
        found = Figures()
        names = share_names(is_geneval=self._is_geneval)
        for name, scores in table.scores.items():
            found |= shares(self._tasks, scores, *names[name]) if name in names else means(name, scores)
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


def _stored(measures: Measures) -> StoredMeasures:
    """What the samples' own rows do not tell, for a difference that is asked for later."""
    return StoredMeasures(
        by_prompt={
            name: [number(each) for each in measures.scores[name][:, 0]]
            for name in (DIVERSITY, PIXELS, DUPLICATES)
            if name in measures.scores
        },
        without={name: each.without.tolist() for name, each in measures.distances.parts.items()},
    )
