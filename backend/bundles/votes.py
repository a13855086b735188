"""People's choices on a run's samples, joined by sample. Who a rater is, a bundle does not tell."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from backend.models import LabelPairRow, LabelTaskRow, RaterRow, SampleRow, VoteRow
from backend.schemas.rater_hash import OF_STUDIO, rater_hash

# Postgres takes at most 65,535 values in one statement.
_IDS_AT_ONCE = 10_000


def votes_of(session: Session, *, run_id: UUID) -> tuple[list[dict[str, Any]], set[UUID]]:
    """The votes on pairs with a sample of the run, undone ones included, and the groups of the samples voted on."""
    is_of_run = or_(*(side["run_id"].astext == str(run_id) for side in (LabelPairRow.side_0, LabelPairRow.side_1)))
    query = (
        select(VoteRow, LabelPairRow, RaterRow, LabelTaskRow)
        .join(LabelPairRow, LabelPairRow.id == VoteRow.pair_id)
        .join(RaterRow, RaterRow.id == VoteRow.rater_id)
        .join(LabelTaskRow, LabelTaskRow.id == VoteRow.label_task_id)
        .where(is_of_run)
        .order_by(VoteRow.created_at, VoteRow.id)
    )
    lines, samples = [], set()
    for vote, pair, rater, task in session.execute(query):
        lines.append(_line(vote, pair, rater, task))
        samples |= {UUID(side["sample_id"]) for side in (pair.side_0, pair.side_1)}
    groups: set[UUID] = set()
    wanted = list(samples)
    for begin in range(0, len(wanted), _IDS_AT_ONCE):
        ids = wanted[begin : begin + _IDS_AT_ONCE]
        of_samples = select(SampleRow.group_id).where(SampleRow.id.in_(ids), SampleRow.run_id == run_id)
        groups |= set(session.scalars(of_samples))
    return lines, groups


def _line(vote: VoteRow, pair: LabelPairRow, rater: RaterRow, task: LabelTaskRow) -> dict[str, Any]:
    told = ("sample_id", "run_id", "policy", "step", "seed", "image_sha256")
    return {
        "id": str(vote.id),
        "label_task_id": str(task.id),
        "guideline": task.guidelines[vote.guideline_version - 1],
        "prompt": pair.prompt,
        "task": pair.task,
        "side_0": {name: pair.side_0[name] for name in told},
        "side_1": {name: pair.side_1[name] for name in told},
        "outcome": vote.outcome,
        "is_swapped": vote.is_swapped,
        "latency_ms": vote.latency_ms,
        "rater": rater_hash(OF_STUDIO, rater.id),
        "is_simulated": rater.is_simulated,
        "is_excluded": rater.is_excluded,
        "is_gold": pair.is_gold,
        "created_at": vote.created_at.isoformat(),
        "undone_at": None if vote.undone_at is None else vote.undone_at.isoformat(),
    }
