"""Chooses what people are asked about a run when nobody says it: which pairs, of which steps, under which name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from backend.errors import ConflictError, MalformedError
from backend.models import GroupRow, RunRow, SampleRow
from backend.preferences import service
from backend.preferences.pairing import pairs_for
from backend.preferences.pictures import PROBE, TRAIN
from backend.runs import repository as runs
from backend.schemas.config import run_config_adapter
from backend.schemas.every_run import RunKind
from backend.schemas.pair_source import PairSourceConfig, PairSourceKind
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.preference import LabelTask, LabelTaskCreate, SamplesForPeople

_LONGEST_NAME = 120


def ask_people(session: Session, run_id: UUID, wanted: SamplesForPeople, runs_dir: Path) -> LabelTask:
    """Makes the label task that asks people about a run: of the first source that gives all pairs, else most.

    Raises:
        NotFoundError: when there is no such run.
        ConflictError: when it makes no pictures of prompts, has made none yet, or none of them differ.
    """
    run = runs.get_run(session, run_id=run_id)
    most, chosen, problem = 0, None, "it has stored no samples to compare"
    for source in _sources(session, run, wanted):
        task = LabelTaskCreate(
            name=_name_of(run, source),
            source=source,
            num_pairs=wanted.num_samples // 2,
            votes_per_pair=wanted.votes_per_pair,
        )
        try:
            num_pairs = len(pairs_for(session, task, runs_dir))
        except MalformedError as error:
            problem = str(error)
            continue
        if num_pairs > most:
            most, chosen = num_pairs, task
        if num_pairs == task.num_pairs:
            break
    if chosen is not None:
        return service.create_task(session, chosen, runs_dir)
    before = "" if wanted.step is None else f" up to step {wanted.step}"
    raise ConflictError(f"no pairs can be made of run {run_id}{before}, {problem}: ask again when it has made more")


def _sources(session: Session, run: RunRow, wanted: SamplesForPeople) -> Iterator[PairSourceConfig]:
    """What pairs may be made of, the most telling first."""
    if run.kind == RunKind.TRAIN:
        yield from _sources_of_training(session, run, wanted)
    elif run.kind == RunKind.SAMPLE:
        yield PairSourceConfig(kind=PairSourceKind.SAMPLING, run_id=run.id)
    elif run.kind == RunKind.EVALUATE:
        config = run_config_adapter.validate_python(run.config, extra="ignore")
        assert isinstance(config, EvaluateConfig), "the run's kind says so"
        labels = list(config.candidates)
        if len(labels) > 1:
            yield PairSourceConfig(kind=PairSourceKind.EVALUATION, run_id=run.id, policies=(labels[0], labels[1]))
        yield PairSourceConfig(kind=PairSourceKind.SAMPLING, run_id=run.id)
    else:
        raise ConflictError(f"run {run.id} is a {run.kind} run, which makes no pictures of prompts: nothing to judge")


def _sources_of_training(session: Session, run: RunRow, wanted: SamplesForPeople) -> Iterator[PairSourceConfig]:
    """The newest probe against the first shows what training has changed; the newest groups, how people rank them."""
    is_probe = (GroupRow.purpose == PROBE) & (GroupRow.policy != "base")
    probes = _steps(session, run, is_probe, wanted.step)
    if len(probes) > 1:
        steps = (probes[-1][0], probes[0][0])
        yield PairSourceConfig(kind=PairSourceKind.CHECKPOINTS, run_id=run.id, steps=steps)
    groups = _steps(session, run, GroupRow.purpose == TRAIN, wanted.step)
    num_samples = 0
    for first, count in groups:
        num_samples += count
        if num_samples >= wanted.num_samples or first == groups[-1][0]:
            yield PairSourceConfig(kind=PairSourceKind.WITHIN_GROUP, run_id=run.id, steps=(first, groups[0][0]))
            return


def _steps(session: Session, run: RunRow, which: ColumnElement[bool], last: int | None) -> Sequence[tuple[int, int]]:
    """Steps with stored samples and how many each has, the newest first."""
    query = (
        select(GroupRow.step, func.count())
        .join(SampleRow, SampleRow.group_id == GroupRow.id)
        .where(GroupRow.run_id == run.id, which)
        .group_by(GroupRow.step)
        .order_by(GroupRow.step.desc())
    )
    if last is not None:
        query = query.where(GroupRow.step <= last)
    return [(step, count) for step, count in session.execute(query)]


def _name_of(run: RunRow, source: PairSourceConfig) -> str:
    """What lists call the task; raters never see it."""
    name, told = run.name or f"{run.kind} {str(run.id)[-8:]}", ""
    if source.steps is not None:
        first, last = source.steps
        told = f", step {last} against {first}" if source.kind is PairSourceKind.CHECKPOINTS else f", step {last}"
    return f"{name[: _LONGEST_NAME - len(told)]}{told}"
