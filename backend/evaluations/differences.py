"""Any two of an evaluation's policies compared: as the job measured it for the first one, else from the stored samples.

The job tells each policy's difference to the first. Of two others the same statistics are computed when they are asked
for, with the same seeds, and kept. It knows neither requests nor pages.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from backend.artifacts import RunFolder
from backend.evaluation_files import StoredMeasures, read_measures
from backend.evaluations import repository
from backend.evaluations.repository import MeasuredSample
from backend.figures.distances import FID, FID_INFINITY, KID, Distances
from backend.figures.evaluation import DIVERSITY, DUPLICATES, GENEVAL, PIXELS, Measures, difference, turned
from backend.figures.jackknife import Jackknifed
from backend.figures.scores import Figures, Scores
from backend.schemas.event import ScoreMeasured
from backend.schemas.picture_runs import DIFFERENCE, EvaluateConfig, difference_name

# What the samples' rows alone do not tell.
_KEPT_BESIDE = (DIVERSITY, PIXELS, DUPLICATES, FID, FID_INFINITY, KID)
_NO_INTERVAL = "without an interval: this evaluation was made before what one takes was kept; evaluate anew for it"


@dataclass(frozen=True)
class MeasuredEvaluation:
    """An evaluation and the figures that its job has told so far."""

    run_id: UUID
    config: EvaluateConfig
    told: Mapping[str, tuple[int, ScoreMeasured]]
    """by what they are told under, each with the place of its event"""

    @property
    def labels(self) -> list[str]:
        """Its policies, the one that the job compares the others to first."""
        return list(self.config.candidates)

    @property
    def own(self) -> dict[str, ScoreMeasured]:
        """Each policy's own figures."""
        return {label: self.told[label][1] for label in self.labels if label in self.told}

    @property
    def measured_differences(self) -> dict[str, ScoreMeasured]:
        """The differences to the first policy, by the name that they are told under."""
        return {name: score for name, (_, score) in self.told.items() if name.partition(":")[0] == DIFFERENCE}


Pair = tuple[str, str]
_Key = tuple[UUID, int, int]


class KeptDifferences:
    """The differences that were computed last: those of an evaluation that has ended change no more."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, ScoreMeasured] = OrderedDict()
        # One at a time: each takes a processor for some tenths of a second, and tens of MiB.
        self._lock = threading.Lock()

    def get(
        self, session: Session, folder: RunFolder, evaluation: MeasuredEvaluation, base: str, policies: Iterable[str]
    ) -> dict[str, ScoreMeasured]:
        """Each policy minus the base, by label; without those that are not measured to their end."""
        found: dict[str, ScoreMeasured] = {}
        computed = []
        for label in policies:
            pair = _in_order(evaluation, base, label)
            if pair[0] == evaluation.labels[0]:
                if (stored := evaluation.measured_differences.get(difference_name(pair[1]))) is not None:
                    found[label] = stored
            elif {base, label} <= set(evaluation.own):
                computed.append((label, pair))
        if computed:
            pairs = [pair for _, pair in computed]
            found |= dict(
                zip([label for label, _ in computed], self._all(session, folder, evaluation, pairs), strict=True)
            )
        return {
            label: _seen_from(score, label, is_turned=_in_order(evaluation, base, label)[0] != base)
            for label, score in found.items()
        }

    def _all(
        self, session: Session, folder: RunFolder, evaluation: MeasuredEvaluation, pairs: Sequence[Pair]
    ) -> list[ScoreMeasured]:
        with self._lock:
            missing = [pair for pair in pairs if _key(evaluation, pair) not in self._kept]
            made = dict(zip(missing, _computed(session, folder, evaluation, missing), strict=True)) if missing else {}
            for pair in pairs:
                key = _key(evaluation, pair)
                self._kept[key] = made[pair] if pair in made else self._kept[key]
                self._kept.move_to_end(key)
            found = [self._kept[_key(evaluation, pair)] for pair in pairs]
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found


def _key(evaluation: MeasuredEvaluation, pair: Pair) -> _Key:
    """An evaluation that is resumed tells its figures anew, at other places."""
    return evaluation.run_id, evaluation.told[pair[0]][0], evaluation.told[pair[1]][0]


def _in_order(evaluation: MeasuredEvaluation, base: str, label: str) -> Pair:
    """The two as the evaluation names them: whichever is asked for as base, the figures are one another's turned."""
    labels = evaluation.labels
    return (base, label) if labels.index(base) < labels.index(label) else (label, base)


def _seen_from(score: ScoreMeasured, label: str, *, is_turned: bool) -> ScoreMeasured:
    """The difference as that of one of the two."""
    figures = Figures(dict(score.values), dict(score.intervals))
    seen = turned(figures) if is_turned else figures
    return score.model_copy(
        update={"policy": difference_name(label), "values": seen.values, "intervals": seen.intervals}
    )


def _computed(
    session: Session, folder: RunFolder, evaluation: MeasuredEvaluation, pairs: Sequence[Pair]
) -> Iterator[ScoreMeasured]:
    """The differences of such pairs from the samples' rows, and from what the job has kept beside them."""
    labels = {label for pair in pairs for label in pair}
    rows = _SampleTable(evaluation, labels)
    for row in repository.list_measured(session, run_id=evaluation.run_id, policies=labels):
        rows.enter(row)
    stored = read_measures(folder)
    measures = {label: rows.measures(label, stored.get(label)) for label in labels}
    for base, policy in pairs:
        own = evaluation.own[policy]
        found = difference(
            rows.tasks, measures[base], measures[policy], is_geneval=evaluation.config.geneval is not None
        )
        values = found.values | _of_whole_prompts(evaluation.own[base], own, found)
        notes = {name: note for name, note in own.notes.items() if name == GENEVAL}
        notes |= {name: _NO_INTERVAL for name in _KEPT_BESIDE if name in values and name not in found.intervals}
        yield ScoreMeasured(
            step=own.step,
            benchmark=own.benchmark,
            policy=difference_name(policy),
            values=values,
            intervals=found.intervals,
            num_prompts=rows.num_stored(base, policy),
            samples_per_prompt=own.samples_per_prompt,
            notes=notes,
        )


def _of_whole_prompts(base: ScoreMeasured, policy: ScoreMeasured, found: Figures) -> dict[str, float | None]:
    """Diversity's differences where an older evaluation has kept each policy's own figure alone."""
    values: dict[str, float | None] = {}
    for name in (DIVERSITY, PIXELS, DUPLICATES):
        one, two = base.values.get(name), policy.values.get(name)
        if name not in found.values and one is not None and two is not None:
            values[name] = two - one
    return values


class _SampleTable:
    """The scores of some policies' samples as arrays (num_prompts, num_seeds), NaN where there is none."""

    def __init__(self, evaluation: MeasuredEvaluation, labels: Iterable[str]) -> None:
        self._own = evaluation.own
        self._shape = (max(self._own[label].num_prompts for label in labels), evaluation.config.samples_per_prompt)
        self.tasks: list[str | None] = [None] * self._shape[0]
        self._ranking = {label: self._empty() for label in labels}
        self._is_stored = {label: np.zeros(self._shape, dtype=bool) for label in labels}
        self._scores: dict[str, dict[str, Scores]] = {label: {} for label in labels}

    def enter(self, sample: MeasuredSample) -> None:
        """Fills in what one sample was given."""
        place, label = (sample.prompt, sample.seed), sample.policy
        if not all(each < size for each, size in zip(place, self._shape, strict=True)):
            return
        self.tasks[sample.prompt] = sample.task
        self._is_stored[label][place] = True
        self._ranking[label][place] = np.nan if sample.reward is None else sample.reward
        for name, score in sample.scores.items():
            found = self._scores[label].setdefault(name, self._empty())
            found[place] = np.nan if score is None else score

    def measures(self, label: str, stored: StoredMeasures | None) -> Measures:
        """What was measured of one policy."""
        by_prompt = {} if stored is None else stored.by_prompt
        values = {name: np.array(each, dtype=np.float64) for name, each in by_prompt.items()}
        whole = {
            name: np.repeat(each[:, None], self._shape[1], axis=1)
            for name, each in values.items()
            if len(each) == self._shape[0]
        }
        own = self._own[label].values
        without = {} if stored is None else stored.without
        parts = {name: Jackknifed(own.get(name) or 0.0, np.array(each)) for name, each in without.items()}
        distances = Distances(Figures(dict(own)), parts)
        return Measures({**self._scores[label], **whole}, self._ranking[label], distances)

    def num_stored(self, base: str, policy: str) -> int:
        """Of how many prompts every sample of both is stored."""
        return int((self._is_stored[base] & self._is_stored[policy]).all(axis=1).sum())

    def _empty(self) -> Scores:
        return np.full(self._shape, np.nan)
