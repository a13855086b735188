"""A label task's pairs with its votes as they are now: no gold pair, no excluded rater, nothing that was taken back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from backend.artifacts import run_folder
from backend.models import LabelPairRow
from backend.pair_sets.pairs import Pair, PairSource, PairVote
from backend.preferences.vote_reading import StandingVote, TaskVotes, read_votes, rewards_of
from backend.schemas.preference import VoteOutcome
from backend.schemas.rater_hash import OF_STUDIO, rater_hash

# A tie, and both bad, say that neither is better: the soft label in the middle.
_LABELS = {VoteOutcome.FIRST: 1.0, VoteOutcome.SECOND: 0.0, VoteOutcome.TIE: 0.5, VoteOutcome.BOTH_BAD: 0.5}


def voted_pairs(session: Session, runs_dir: Path, task_id: UUID, exclude: Sequence[UUID] = ()) -> PairSource:
    """What a label task's votes make of its pairs, in the order of the task.

    Raises:
        NotFoundError: when there is no such task.
        MalformedError: when `exclude` names nobody of this task.
    """
    told = read_votes(session, task_id=task_id, exclude=exclude)
    votes, left_out = _counted(told)
    rewards = rewards_of(session, sample_ids={UUID(side["sample_id"]) for row in told.pairs for side in _sides(row)})
    pairs, pictures = [], {}
    for row in told.pairs:
        if not votes[row.id]:
            continue
        pairs.append(_pair(row, votes[row.id], rewards))
        for side in _sides(row):
            pictures[_name(side)] = run_folder(runs_dir, UUID(side["run_id"])).path(side["image_path"])
    left_out["pairs without a vote that counts"] = sum(not row.is_gold and not votes[row.id] for row in told.pairs)
    return PairSource(tuple(pairs), pictures, _about(told), {reason: num for reason, num in left_out.items() if num})


def _counted(told: TaskVotes) -> tuple[dict[UUID, list[PairVote]], Counter[str]]:
    """The votes that count, by pair, and how many do not, by reason."""
    gold = {pair.id for pair in told.pairs if pair.is_gold}
    simulated = {rater.id: rater.is_simulated for rater in told.raters}
    left_out = Counter({"gold pairs": len(gold), "votes taken back": told.num_undone})
    kept: dict[UUID, list[PairVote]] = defaultdict(list)
    for vote in told.votes:
        if vote.rater_id in told.excluded:
            left_out["votes of excluded raters"] += 1
        elif vote.pair_id in gold:
            left_out["votes on gold pairs"] += 1
        elif vote.outcome == VoteOutcome.SKIP:
            left_out["skipped"] += 1
        else:
            kept[vote.pair_id].append(_vote(vote, simulated[vote.rater_id]))
    return kept, left_out


def _vote(vote: StandingVote, is_simulated: bool) -> PairVote:
    return PairVote(
        rater=rater_hash(OF_STUDIO, vote.rater_id),
        label_0=_LABELS[VoteOutcome(vote.outcome)],
        is_simulated=is_simulated,
        choice=vote.outcome,
        created_at=vote.created_at.astimezone(UTC).isoformat(),
        guideline_version=vote.guideline_version,
    )


def _pair(row: LabelPairRow, votes: list[PairVote], rewards: dict[UUID, dict[str, Any]]) -> Pair:
    sides = [side | {"reward_breakdown": rewards.get(UUID(side["sample_id"]))} for side in _sides(row)]
    return Pair(
        prompt=row.prompt,
        task=row.task,
        image_0=_name(row.side_0),
        image_1=_name(row.side_1),
        label_0=sum(vote.label_0 for vote in votes) / len(votes),
        votes=tuple(votes),
        provenance={
            "label_task_id": str(row.label_task_id),
            "pair_id": str(row.id),
            "picture_0": sides[0],
            "picture_1": sides[1],
        },
    )


def _sides(row: LabelPairRow) -> tuple[dict[str, Any], dict[str, Any]]:
    return row.side_0, row.side_1


def _name(side: dict[str, Any]) -> str:
    """A picture's name in a set; jobs write PNG."""
    return f"{side['image_sha256']}.png"


def _about(told: TaskVotes) -> dict[str, Any]:
    """Where the votes come from, as manifests and exports tell it."""
    task = told.task
    return {
        "kind": "label_task",
        "label_task_id": str(task.id),
        "label_task_name": task.name,
        "pairs_from": task.source,
        "strategy": task.strategy,
        "votes_per_pair": task.votes_per_pair,
        "guidelines": list(task.guidelines),
        "runs": sorted({side["run_id"] for pair in told.pairs for side in _sides(pair)}),
        "excluded_raters": sorted(rater_hash(OF_STUDIO, each) for each in told.excluded),
    }
