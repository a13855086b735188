"""All SQL on groups, samples and checkpoints. Writes belong into the transaction that appended the attempt's event."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from backend.artifacts import derived_id
from backend.errors import NotFoundError
from backend.models import CheckpointRow, GroupRow, SampleRow
from backend.schemas.event import CheckpointSaved
from backend.schemas.sample import GroupRecord, GroupStep, SampleRecord

TRAIN = "train"


def add_groups(session: Session, *, run_id: UUID, purpose: str, groups: Sequence[GroupRecord]) -> None:
    """Stores groups with their samples, in the place of what an earlier attempt stored there.

    `purpose` is `train` for a step's own groups, else the purpose that SamplesMade names.
    """
    if not groups:
        return
    ids = [derived_id(run_id, "group", group.step, purpose, group.policy, group.index) for group in groups]
    session.execute(delete(GroupRow).where(GroupRow.id.in_(ids)))
    session.execute(
        insert(GroupRow), [_group_values(run_id, purpose, key, group) for key, group in zip(ids, groups, strict=True)]
    )
    samples = [
        _sample_values(run_id, purpose, key, group, sample)
        for key, group in zip(ids, groups, strict=True)
        for sample in group.samples
    ]
    if samples:
        session.execute(insert(SampleRow), samples)


def add_checkpoint(session: Session, *, run_id: UUID, attempt: int, saved: CheckpointSaved) -> None:
    """Stores a checkpoint and forgets those that retention has deleted."""
    values = saved.model_dump(include={"step", "sha256", "num_bytes", "state_hash", "path"})
    query = upsert(CheckpointRow).values(run_id=run_id, attempt=attempt, **values)
    changed = {name: query.excluded[name] for name in ("attempt", "sha256", "num_bytes", "state_hash", "path")}
    # A job tells the checkpoint that it starts from once more: that one keeps its time and the attempt that wrote it.
    query = query.on_conflict_do_update(
        index_elements=["run_id", "step"],
        set_=changed | {"created_at": func.now()},
        where=CheckpointRow.sha256 != query.excluded.sha256,
    )
    session.execute(query)
    session.execute(
        delete(CheckpointRow).where(CheckpointRow.run_id == run_id, CheckpointRow.step.in_(saved.deleted_steps))
    )


@dataclass(frozen=True)
class GroupPlace:
    """Where a group stands within a step: the key by which a step's groups are paged."""

    purpose: str
    policy: str
    index: int


def list_groups(
    session: Session,
    *,
    run_id: UUID,
    step: int,
    limit: int,
    after: GroupPlace | None = None,
    purpose: str | None = None,
    policy: str | None = None,
) -> Sequence[GroupRow]:
    """The groups of a step, by purpose, policy and index, beginning after the given place."""
    place = tuple_(GroupRow.purpose, GroupRow.policy, GroupRow.index)
    query = select(GroupRow).where(GroupRow.run_id == run_id, GroupRow.step == step)
    if after is not None:
        query = query.where(place > (after.purpose, after.policy, after.index))
    if purpose is not None:
        query = query.where(GroupRow.purpose == purpose)
    if policy is not None:
        query = query.where(GroupRow.policy == policy)
    return session.scalars(query.order_by(GroupRow.purpose, GroupRow.policy, GroupRow.index).limit(limit)).all()


def newest_group_step(session: Session, *, run_id: UUID, purpose: str | None = None) -> int | None:
    """The newest step that has groups."""
    query = select(func.max(GroupRow.step)).where(GroupRow.run_id == run_id)
    return session.scalar(query if purpose is None else query.where(GroupRow.purpose == purpose))


def list_group_steps(session: Session, *, run_id: UUID) -> list[GroupStep]:
    """Which steps have groups, and how they fared."""
    query = (
        select(
            GroupRow.step,
            GroupRow.purpose,
            GroupRow.policy,
            func.count(),
            func.count().filter(GroupRow.is_kept),
            func.avg(GroupRow.mean_reward),
        )
        .where(GroupRow.run_id == run_id)
        .group_by(GroupRow.step, GroupRow.purpose, GroupRow.policy)
        .order_by(GroupRow.step, GroupRow.purpose, GroupRow.policy)
    )
    return [
        GroupStep(step=step, purpose=purpose, policy=policy, num_groups=count, num_kept=kept, mean_reward=mean)
        for step, purpose, policy, count, kept, mean in session.execute(query)
    ]


def samples_of(session: Session, *, group_ids: Collection[UUID]) -> dict[UUID, list[SampleRow]]:
    """The samples of these groups, each group's in order of advantage, best first, then by place."""
    order = (SampleRow.advantage.desc().nulls_last(), SampleRow.reward.desc().nulls_last(), SampleRow.index)
    found: dict[UUID, list[SampleRow]] = {group_id: [] for group_id in group_ids}
    for row in session.scalars(select(SampleRow).where(SampleRow.group_id.in_(group_ids)).order_by(*order)):
        found[row.group_id].append(row)
    return found


def get_sample(session: Session, *, sample_id: UUID) -> tuple[SampleRow, GroupRow]:
    """A sample and its group; NotFoundError when there is none."""
    query = (
        select(SampleRow, GroupRow).join(GroupRow, GroupRow.id == SampleRow.group_id).where(SampleRow.id == sample_id)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFoundError(f"there is no sample {sample_id}: list a run's with GET /api/v1/runs/{{id}}/groups")
    return found[0], found[1]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _group_values(run_id: UUID, purpose: str, key: UUID, group: GroupRecord) -> dict[str, Any]:
    values = group.model_dump(exclude={"samples", "mean_reward", "reward_std"})
    return values | {
        "id": key,
        "run_id": run_id,
        "purpose": purpose,
        "mean_reward": _finite(group.mean_reward),
        "reward_std": _finite(group.reward_std),
    }


def _sample_values(
    run_id: UUID, purpose: str, group_id: UUID, group: GroupRecord, sample: SampleRecord
) -> dict[str, Any]:
    place = (group.step, purpose, group.policy, group.index, sample.index)
    return {
        "id": derived_id(run_id, "sample", *place),
        "run_id": run_id,
        "group_id": group_id,
        "step": group.step,
        "index": sample.index,
        "seed": sample.seed,
        "reward": _finite(sample.reward),
        "reward_breakdown": sample.reward_breakdown,
        "advantage": _finite(sample.advantage),
        "image_path": sample.image_path,
        "image_sha256": sample.image_sha256,
        "verdict": None if sample.verdict is None else sample.verdict.model_dump(mode="json"),
    }
