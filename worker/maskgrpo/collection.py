"""One training step's experience: rollouts of all groups, their rewards, and the sample filter's re-samplings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.schemas.config import TrainConfig
from worker.maskgrpo.advantage import check_finite, group_advantages, group_std
from worker.maskgrpo.processes import ALONE, Processes
from worker.maskgrpo.sample_filter import SampleFilter
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.transition import term_options
from worker.maskgrpo.types import Group, Policy, RewardFunction, Rewards, Trajectory


@dataclass(frozen=True)
class Collection:
    """The groups of a training step and what their first rollouts were like."""

    groups: tuple[Group, ...]  # Each as it was at its last try.
    first_groups: tuple[Group, ...]  # Each as it was at its first try: the policy as it is, unfiltered.
    threshold: float  # The sample filter's, before this step.
    seconds_rollout: float
    seconds_reward: float

    @property
    def kept(self) -> tuple[Group, ...]:
        """The groups that enter the loss."""
        return tuple(group for group in self.groups if group.is_kept)

    @property
    def num_rollouts(self) -> int:
        """Pictures made, re-samplings included."""
        return sum(len(group.seeds) * group.num_tries for group in self.groups)


class Collector:
    """Makes groups for given prompts with a policy and a reward."""

    def __init__(
        self, policy: Policy, reward_function: RewardFunction, config: TrainConfig, processes: Processes = ALONE
    ) -> None:
        self._policy = policy
        self._reward_function = reward_function
        self._config = config
        self._processes = processes
        self._seconds_rollout = 0.0
        self._seconds_reward = 0.0

    def collect(self, prompts: Sequence[str], step: int, sample_filter: SampleFilter) -> Collection:
        """Rolls out a group for each prompt, and again those that the filter finds vanishing, within its tries.

        Args:
            prompts: P prompts.
            step: the training step, for the seeds.
            sample_filter: gives the threshold; the first rollouts' stds enter its history.

        Returns:
            P groups in the prompts' order; those that are still vanishing are not kept.

        Raises:
            RewardNotFiniteError: a reward is NaN or infinite.
        """
        self._seconds_rollout = self._seconds_reward = 0.0
        threshold = sample_filter.threshold
        groups = self._sample(prompts, range(len(prompts)), step, 0)
        first_groups = tuple(groups)
        vanishing = self._judge(groups, range(len(groups)), sample_filter)
        sample_filter_stds = group_std(_rewards_of(first_groups))
        for number in range(1, sample_filter.max_tries + 1):
            if not vanishing:
                break
            for place, group in zip(vanishing, self._sample(prompts, vanishing, step, number), strict=True):
                groups[place] = group
            vanishing = self._judge(groups, vanishing, sample_filter)
        sample_filter.record(sample_filter_stds)
        return Collection(tuple(groups), first_groups, threshold, self._seconds_rollout, self._seconds_reward)

    def _sample(self, prompts: Sequence[str], places: Sequence[int], step: int, number: int) -> list[Group]:
        """Rolls out the groups at the given places, each in one of the processes, and gives all of them to each.

        So what follows (the filter, its history, the choice of steps) is the same everywhere without a word more.
        `number` counts a group's re-samplings.
        """
        if self._processes.is_alone:
            return self._make(prompts, places, step, number)
        with self._processes.together():
            own = [places[index] for index in self._processes.share(len(places))]
            groups = self._make(prompts, own, step, number) if own else []
            if self._processes.num_idle(len(places), 1):
                self._trajectory(prompts, places[:1], step, number)
        started = time.perf_counter()
        groups = self._processes.gathered([_moved(group, torch.device("cpu")) for group in groups])
        groups = [_moved(group, self._policy.device) for group in groups]
        self._seconds_rollout += time.perf_counter() - started
        return groups

    def _make(self, prompts: Sequence[str], places: Sequence[int], step: int, number: int) -> list[Group]:
        """Rolls out the groups at the given places as one batch."""
        size, grpo = self._config.rollout.group_size, self._config.grpo
        texts = [prompts[place] for place in places for _ in range(size)]
        started = time.perf_counter()
        seeds, trajectory = self._trajectory(prompts, places, step, number)
        with torch.no_grad():
            decoded = self._policy.decode(trajectory.codes)
        pictures = decoded.cpu()
        self._seconds_rollout += time.perf_counter() - started
        # Where they were made: a reward network follows the pictures to their device.
        rewards = self._reward(decoded, texts)
        advantages = group_advantages(rewards.total.view(-1, size), grpo.advantage_epsilon, grpo.advantage)
        groups = []
        for index, place in enumerate(places):
            rows = torch.arange(index * size, (index + 1) * size)
            group = Group(
                prompt=prompts[place],
                seeds=tuple(seeds[index * size : (index + 1) * size]),
                trajectory=trajectory.index(rows.to(trajectory.codes.device)),
                pictures=pictures[rows],
                rewards=rewards_at(rewards, rows),
                advantages=advantages[index],
                is_kept=True,
                reason="",
                num_tries=number + 1,
            )
            groups.append(group)
        return groups

    def _trajectory(
        self, prompts: Sequence[str], places: Sequence[int], step: int, number: int
    ) -> tuple[list[int], Trajectory]:
        """Unmasks the groups at the given places as one batch; gives each rollout's seed too."""
        size, run_seed, grpo = self._config.rollout.group_size, self._config.seed, self._config.grpo
        seeds = [derived_seed(run_seed, "rollout", step, place, j, number) for place in places for j in range(size)]
        texts = [prompts[place] for place in places for _ in range(size)]
        return seeds, rollout(self._policy, texts, seeds, self._config.sampling, grpo.transition, term_options(grpo))

    def _reward(self, pictures: Tensor, prompts: list[str]) -> Rewards:
        started = time.perf_counter()
        rewards = _on_cpu(self._reward_function(pictures, prompts))
        self._seconds_reward += time.perf_counter() - started
        check_finite(rewards.total, rewards.breakdown, prompts)
        return rewards

    def _judge(self, groups: list[Group], places: Sequence[int], sample_filter: SampleFilter) -> list[int]:
        """Decides in place which groups are kept and says why; returns the places of those that are not."""
        stds = group_std(_rewards_of([groups[place] for place in places]))
        is_vanishing = sample_filter.is_vanishing(stds).tolist()
        for place, std, is_dropped in zip(places, stds.tolist(), is_vanishing, strict=True):
            group = groups[place]
            advantages = torch.zeros_like(group.advantages) if is_dropped else group.advantages
            reason = _reason(group, std, sample_filter.threshold, is_dropped)
            groups[place] = replace(group, is_kept=not is_dropped, reason=reason, advantages=advantages)
        return [place for place, is_dropped in zip(places, is_vanishing, strict=True) if is_dropped]


def rewards_at(rewards: Rewards, rows: Tensor) -> Rewards:
    """The rewards of the given rows, (R,) int64."""
    breakdown = {name: values[rows] for name, values in rewards.breakdown.items()}
    details = tuple(rewards.details[row] for row in rows.tolist()) if rewards.details else ()
    return Rewards(rewards.total[rows], breakdown, details)


def _moved(group: Group, device: torch.device) -> Group:
    """The group with its trajectory on a device; its small parts and its pictures are on the CPU."""
    trajectory = group.trajectory.to(device)
    return replace(group, trajectory=trajectory, rewards=_on_cpu(group.rewards), advantages=group.advantages.cpu())


def _on_cpu(rewards: Rewards) -> Rewards:
    breakdown = {name: values.cpu() for name, values in rewards.breakdown.items()}
    return replace(rewards, total=rewards.total.cpu(), breakdown=breakdown)


def _rewards_of(groups: Sequence[Group]) -> Tensor:
    return torch.stack([group.rewards.total for group in groups])


def _reason(group: Group, std: float, threshold: float, is_dropped: bool) -> str:
    tries = f" after {group.num_tries} tries" if group.num_tries > 1 else ""
    if not is_dropped:
        return f"kept{tries}: reward std {std:.3f}"
    if std == 0:
        return f"filtered{tries}: all rewards are {float(group.rewards.total[0]):.3f}, so no rollout is better"
    return f"filtered{tries}: reward std {std:.3f} is under the history's threshold {threshold:.3f}"
