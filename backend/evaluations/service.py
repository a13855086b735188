"""Puts a comparison together: the job's own figures, and what of it is stored as pairs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from backend.errors import ConflictError, MalformedError, NotFoundError
from backend.evaluations import repository
from backend.evaluations.repository import PairChoice, PairRows
from backend.models import GroupRow, RunRow, SampleRow
from backend.runs import repository as runs
from backend.samples.wire import sample_of
from backend.schemas.base import FieldProblem
from backend.schemas.config import run_config_adapter
from backend.schemas.evaluation import Comparison, PairTally, SamplePair
from backend.schemas.event import ScoreMeasured
from backend.schemas.figure import kind_of
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import RunStatus

# Half the width of a 95 % interval in standard errors, and what four of five evaluations need beyond it.
_HALF_WIDTH, _POWER = 1.96, 0.84


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


def compare(session: Session, run_id: UUID) -> Comparison:
    """The figures of all prompts, and how many of the pairs are stored."""
    row, config = get_evaluation(session, run_id)
    scores: dict[str, ScoreMeasured] = {}
    for event in repository.list_scores(session, run_id=run_id):
        body = event.to_wire().body
        assert isinstance(body, ScoreMeasured), "only scores were asked for"
        scores[body.policy] = body
    difference = scores.get("difference")
    counts = repository.count_pairs(session, run_id=run_id)
    return Comparison(
        run_id=row.id,
        name=row.name,
        status=RunStatus(row.status),
        config=config,
        base=scores.get(repository.BASE),
        policy=scores.get(repository.POLICY),
        difference=difference,
        smallest_visible=smallest_visible(difference),
        num_pairs=counts.num_pairs,
        num_wins=counts.num_wins,
        num_losses=counts.num_losses,
        tasks=counts.tasks,
        scores=tuple(scores[label] for label in config.candidates if label in scores),
        differences=tuple(score for name, score in scores.items() if name.partition(":")[0] == "difference"),
        smallest_visible_by_figure={
            figure: smallest_visible(difference, figure)
            for figure in (difference.intervals if difference is not None else {})
            if figure != "win_rate"
        },
        figure_kinds={
            name: kind_of(name) for label in config.candidates if label in scores for name in scores[label].values
        },
    )


def smallest_visible(difference: ScoreMeasured | None, figure: str = "overall") -> float | None:
    """The difference of a figure that such an evaluation would show in four of five repetitions, at 95 %."""
    if difference is None or figure not in difference.intervals:
        return None
    low, high = difference.intervals[figure]
    if low == high:
        # No prompt differed from another: that says nothing of how others would.
        return None
    return (_HALF_WIDTH + _POWER) * (high - low) / (2 * _HALF_WIDTH)


def checked_choice(config: EvaluateConfig, choice: PairChoice) -> PairChoice:
    """The choice, if it names two different policies of the evaluation and bounds that leave room.

    Raises:
        MalformedError: names the label or the bounds and what there is.
    """
    labels = ", ".join(config.candidates)
    for name in ("base", "policy"):
        if getattr(choice, name) not in config.candidates:
            raise _refused(name, f"{getattr(choice, name)!r} is no policy of this evaluation: it has {labels}")
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
