"""Makes, judges and stores pictures that nothing is trained on: of probes, sample-now, sample runs, evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.algorithm import SamplingConfig, TransitionDefinition
from backend.schemas.config import RewardConfig, RewardName
from backend.schemas.sample import GroupRecord
from worker.jobs.pictures import Place, Unmasking, WrittenPictures, write_group, write_pictures
from worker.jobs.prompts import task_of
from worker.jobs.records import GroupLabel, shown_group
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.types import Policy, Rewards
from worker.rewards.build import build_reward
from worker.shapes.world import IMAGE_SIZE

TRANSITION = TransitionDefinition.CANDIDATE_2

# The score is the share of correct pictures; the other two are shown beside it.
_JUDGE = build_reward(
    (
        RewardConfig(name=RewardName.CORRECT, weight=1),
        RewardConfig(name=RewardName.STRICT, weight=0),
        RewardConfig(name=RewardName.DENSE, weight=0),
    )
)


@dataclass(frozen=True)
class Shown:
    """The pictures of one prompt."""

    prompt: str
    seeds: tuple[int, ...]
    trajectory: Unmasking  # B = the number of seeds.
    pictures: Tensor  # (B, 3, H, W) float32 in [0, 1].
    rewards: Rewards  # The verifier's; NaN and no parts where it does not know the prompt.
    grid: tuple[int, int] | None = None  # Rows and columns of their codes; None for the policy's own square.


def show(
    policy: Policy,
    prompts: Sequence[str],
    seeds: Sequence[tuple[int, ...]],
    sampling: SamplingConfig,
    start: Tensor | None = None,
) -> list[Shown]:
    """Unmasks all pictures as one batch: for each prompt one picture a seed, from a (1, N) start where there is one."""
    texts = [prompt for prompt, own in zip(prompts, seeds, strict=True) for _ in own]
    begun = None if start is None else start.expand(len(texts), -1)
    numbers = [seed for own in seeds for seed in own]
    trajectory = rollout(policy, texts, numbers, sampling, TRANSITION, start=begun)
    with torch.no_grad():
        pictures = policy.decode(trajectory.codes).cpu()
    shown, start = [], 0
    for prompt, own in zip(prompts, seeds, strict=True):
        rows = torch.arange(start, start + len(own))
        start += len(own)
        mine = pictures[rows]
        part = trajectory.index(rows.to(trajectory.codes.device))
        shown.append(Shown(prompt, own, part, mine, judge(mine, prompt)))
    return shown


def judge(pictures: Tensor, prompt: str) -> Rewards:
    """The verifier's figures for pictures of one prompt, where it knows both the prompt and the pictures' size."""
    if task_of(prompt) is None or pictures.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        return Rewards(torch.full((len(pictures),), math.nan), {})
    return _JUDGE(pictures, [prompt] * len(pictures))


def store_shown(
    folder: RunFolder,
    policy: Policy,
    shown: Shown,
    label: GroupLabel,
    purpose: str,
    framed: Sequence[int],
    *,
    is_replayed: bool = True,
) -> GroupRecord:
    """Writes one prompt's pictures, and their trajectories where they are to be replayed; gives their record."""
    place = Place(label.step, f"{purpose}-{label.policy}", label.index)
    if is_replayed:
        unmasking, transition = shown.trajectory, TRANSITION.value
        written = write_group(folder, place, policy, shown.pictures, unmasking, transition, framed, shown.grid)
    else:
        written = WrittenPictures(*write_pictures(folder, place, shown.pictures), trajectory_path=None)
    return shown_group(label, shown.seeds, shown.rewards, written)
