"""Puts a comparison together: the job's own figures, and what of it is stored as pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend.artifacts import run_folder
from backend.errors import ConflictError, MalformedError, NotFoundError
from backend.evaluations import repository
from backend.evaluations.differences import KeptDifferences, MeasuredEvaluation
from backend.evaluations.repository import PairChoice, PairRows
from backend.models import GroupRow, RunRow, SampleRow
from backend.runs import repository as runs
from backend.samples.wire import sample_of
from backend.schemas.base import FieldProblem
from backend.schemas.config import run_config_adapter
from backend.schemas.evaluation import Comparison, PairTally, SamplePair
from backend.schemas.event import ScoreMeasured
from backend.schemas.figure import kind_of
from backend.schemas.picture_runs import DIFFERENCE, EvaluateConfig, label_of
from backend.schemas.run import RunStatus

# Half the width of a 95 % interval in standard errors, and what four of five evaluations need beyond it.
_HALF_WIDTH, _POWER = 1.96, 0.84
_KEPT = KeptDifferences()


def get_evaluation(session: Session, run_id: UUID) -> tuple[RunRow, EvaluateConfig]:
    """An evaluate run of two policies or more.

    Raises:
        NotFoundError: when there is no such run.
        ConflictError: when it compares nothing.
    """
    row = runs.get_run(session, run_id=run_id)
    # A field that a newer version no longer has must not spoil the runs of an older one.
    config = run_config_adapter.validate_python(row.config, extra="ignore")
    if not isinstance(config, EvaluateConfig):
        raise ConflictError(f"run {run_id} is a {row.kind} run: only an evaluate run compares a policy with its base")
    if len(config.candidates) < 2:
        raise ConflictError(f"run {run_id} evaluates one policy alone: clone it with `base` set to compare two")
    return row, config


def compare(session: Session, runs_dir: Path, run_id: UUID, base: str | None = None) -> Comparison:
    """The figures of all prompts, and how many of the pairs are stored; others compared to the first unless told.

    Raises:
        NotFoundError, ConflictError: as `get_evaluation`.
        MalformedError: `base` is none of its policies.
    """
    row, config = get_evaluation(session, run_id)
    evaluation = _measured(session, run_id, config)
    first, second = evaluation.labels[:2]
    against = first if base is None else _checked_label(config, "base", base)
    scores, to_first = evaluation.own, evaluation.measured_differences
    difference = to_first.get(DIFFERENCE)
    differences = to_first if against == first else _differences(session, runs_dir, evaluation, against)
    counts = repository.count_pairs(session, run_id=run_id, choice=PairChoice(first, second))
    return Comparison(
        run_id=row.id,
        name=row.name,
        status=RunStatus(row.status),
        config=config,
        base=scores.get(repository.BASE),
        policy=scores.get(repository.POLICY),
        difference=difference,
        smallest_visible=smallest_visible(difference),
        against=against,
        num_pairs=counts.num_pairs,
        num_wins=counts.num_wins,
        num_losses=counts.num_losses,
        tasks=counts.tasks,
        scores=tuple(scores.values()),
        differences=tuple(differences.values()),
        smallest_visible_by_figure=_smallest_by_figure(difference),
        smallest_visible_by_policy={label_of(name): _smallest_by_figure(each) for name, each in differences.items()},
        figure_kinds={name: kind_of(name) for score in scores.values() for name in score.values},
    )


def difference_of(session: Session, runs_dir: Path, run_id: UUID, choice: PairChoice) -> ScoreMeasured | None:
    """The chosen policy minus the chosen base; None until both are measured.

    Raises:
        NotFoundError, ConflictError: as `get_evaluation`.
    """
    _, config = get_evaluation(session, run_id)
    folder = run_folder(runs_dir, run_id)
    evaluation = _measured(session, run_id, config)
    return _KEPT.get(session, folder, evaluation, choice.base, [choice.policy]).get(choice.policy)


def _measured(session: Session, run_id: UUID, config: EvaluateConfig) -> MeasuredEvaluation:
    told: dict[str, tuple[int, ScoreMeasured]] = {}
    for event in repository.list_scores(session, run_id=run_id):
        body = event.to_wire().body
        assert isinstance(body, ScoreMeasured), "only scores were asked for"
        told[body.policy] = (event.seq, body)
    return MeasuredEvaluation(run_id, config, told)


def _differences(
    session: Session, runs_dir: Path, evaluation: MeasuredEvaluation, base: str
) -> dict[str, ScoreMeasured]:
    """Every other policy minus the base, by the name that the difference is told under."""
    others = [label for label in evaluation.labels if label != base]
    found = _KEPT.get(session, run_folder(runs_dir, evaluation.run_id), evaluation, base, others)
    return {found[label].policy: found[label] for label in others if label in found}


def smallest_visible(difference: ScoreMeasured | None, figure: str = "overall") -> float | None:
    """The difference of a figure that such an evaluation would show in four of five repetitions, at 95 %."""
    if difference is None or figure not in difference.intervals:
        return None
    low, high = difference.intervals[figure]
    if low == high:
        # No prompt differed from another: that says nothing of how others would.
        return None
    return (_HALF_WIDTH + _POWER) * (high - low) / (2 * _HALF_WIDTH)


def _smallest_by_figure(difference: ScoreMeasured | None) -> dict[str, float | None]:
    """Of every figure that has an interval; how often one wins is none whose smallest difference one could name."""
    intervals = difference.intervals if difference is not None else {}
    return {figure: smallest_visible(difference, figure) for figure in intervals if figure != "win_rate"}


def checked_choice(config: EvaluateConfig, choice: PairChoice) -> PairChoice:
    """The choice, if it names two different policies of the evaluation and bounds that leave room.

    Raises:
        MalformedError: names the label or the bounds and what there is.
    """
    labels = ", ".join(config.candidates)
    for name in ("base", "policy"):
        _checked_label(config, name, getattr(choice, name))
    if choice.base == choice.policy:
        raise _refused("policy", f"{choice.policy!r} would be compared with itself: choose two of {labels}")
    low, high = choice.min_difference, choice.max_difference
    if low is not None and high is not None and low > high:
        raise _refused("min_difference", f"min_difference is {low}, above max_difference, {high}: no pair is between")
    return choice


def find_pair(session: Session, run_id: UUID, choice: PairChoice, sample_id: UUID) -> SamplePair:
    """The pair of which a sample is either picture.

    Raises:
        NotFoundError: when it is in none.
    """
    rows = repository.get_pair(session, run_id=run_id, choice=choice, sample_id=sample_id)
    if rows is None:
        raise NotFoundError(
            f"sample {sample_id} is in no pair of {choice.base} and {choice.policy}: list them with "
            f"GET /api/v1/evaluations/{run_id}/pairs"
        )
    return pairs_of(session, run_id, choice, [rows])[0]


def pairs_of(session: Session, run_id: UUID, choice: PairChoice, rows: Sequence[PairRows]) -> list[SamplePair]:
    """Pairs as the API shows them, with what the other policies made of the same prompts and seeds."""
    others = repository.other_samples(session, run_id=run_id, pairs=rows, choice=choice)
    return [_pair_of(each, others[each.policy.id]) for each in rows]


def tally(session: Session, run_id: UUID, choice: PairChoice) -> PairTally:
    """How many pairs a choice leaves over, and how they fared."""
    counts = repository.count_pairs(session, run_id=run_id, choice=choice)
    return PairTally(
        num_pairs=counts.num_pairs,
        num_wins=counts.num_wins,
        num_losses=counts.num_losses,
        num_unjudged=counts.num_unjudged,
        tasks=counts.tasks,
    )


def _checked_label(config: EvaluateConfig, name: str, label: str) -> str:
    if label not in config.candidates:
        labels = ", ".join(config.candidates)
        raise _refused(name, f"{label!r} is no policy of this evaluation: it has {labels}")
    return label


def _refused(name: str, message: str) -> MalformedError:
    return MalformedError(message, (FieldProblem(pointer=f"/query/{name}", message=message),))


def _pair_of(rows: PairRows, others: dict[str, tuple[SampleRow, GroupRow]]) -> SamplePair:
    base, policy = sample_of(rows.base, rows.base_group), sample_of(rows.policy, rows.policy_group)
    difference = None if base.reward is None or policy.reward is None else policy.reward - base.reward
    return SamplePair(
        prompt=policy.prompt,
        task=rows.policy_group.task,
        seed=policy.seed,
        base=base,
        policy=policy,
        difference=difference,
        others={label: sample_of(*found) for label, found in sorted(others.items())},
    )
