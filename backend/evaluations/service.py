"""Puts a comparison together: the job's own figures, and what of it is stored as pairs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from backend.errors import ConflictError
from backend.evaluations import repository
from backend.evaluations.repository import PairRows
from backend.models import RunRow
from backend.runs import repository as runs
from backend.samples.wire import sample_of
from backend.schemas.config import run_config_adapter
from backend.schemas.evaluation import Comparison, SamplePair
from backend.schemas.event import ScoreMeasured
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
    )


def smallest_visible(difference: ScoreMeasured | None, figure: str = "overall") -> float | None:
    """The difference of a figure that such an evaluation would show in four of five repetitions, at 95 %."""
    if difference is None or figure not in difference.intervals:
        return None
    low, high = difference.intervals[figure]
    return (_HALF_WIDTH + _POWER) * (high - low) / (2 * _HALF_WIDTH)


def pair_of(rows: PairRows) -> SamplePair:
    """A pair as the API shows it."""
    base, policy = sample_of(rows.base, rows.base_group), sample_of(rows.policy, rows.policy_group)
    difference = None if base.reward is None or policy.reward is None else policy.reward - base.reward
    return SamplePair(
        prompt=policy.prompt,
        task=rows.policy_group.task,
        seed=policy.seed,
        base=base,
        policy=policy,
        difference=difference,
    )
