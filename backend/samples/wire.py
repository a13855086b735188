"""Rows of groups and samples as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence

from backend.models import GroupRow, SampleRow
from backend.schemas.sample import Group, Sample, VerdictRecord


def sample_of(row: SampleRow, group: GroupRow) -> Sample:
    """A sample with what its group knows of it."""
    return Sample(
        id=row.id,
        run_id=row.run_id,
        group_id=row.group_id,
        step=row.step,
        group_index=group.index,
        index=row.index,
        purpose=group.purpose,
        prompt=group.prompt,
        seed=row.seed,
        reward=row.reward,
        reward_breakdown=row.reward_breakdown,
        advantage=row.advantage,
        is_kept=group.is_kept,
        reason=group.reason,
        image_url=f"/api/v1/samples/{row.id}/image",
        image_path=row.image_path,
        image_sha256=row.image_sha256,
        has_trajectory=group.trajectory_path is not None,
        verdict=None if row.verdict is None else VerdictRecord.model_validate(row.verdict),
        created_at=row.created_at,
    )


def group_of(row: GroupRow, samples: Sequence[SampleRow]) -> Group:
    """A group with its samples, in the order given."""
    return Group(
        id=row.id,
        run_id=row.run_id,
        step=row.step,
        index=row.index,
        prompt=row.prompt,
        task=row.task,
        purpose=row.purpose,
        policy=row.policy,
        mean_reward=row.mean_reward,
        reward_std=row.reward_std,
        is_kept=row.is_kept,
        reason=row.reason,
        num_tries=row.num_tries,
        samples=[sample_of(sample, row) for sample in samples],
    )
