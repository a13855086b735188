"""Mask-GRPO as a generator: one training step at a time, from prompts to an optimizer step. No files, no database.

Departure 6 from the paper (docs/algorithm.md): the KL to the reference is measured even where it has no weight.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch

from backend.schemas.config import TrainConfig
from worker.maskgrpo.alarms import settings_alarms, step_alarms
from worker.maskgrpo.collection import Collection, Collector
from worker.maskgrpo.gradient import replayed, with_old_terms
from worker.maskgrpo.loss import k3
from worker.maskgrpo.metrics import collection_metrics, credit_by_step, update_metrics
from worker.maskgrpo.monitors import Monitors, monitored_metrics
from worker.maskgrpo.optimizer import PolicyOptimizer
from worker.maskgrpo.processes import ALONE, Processes
from worker.maskgrpo.sample_filter import SampleFilter
from worker.maskgrpo.types import Policy, PromptSource, RewardFunction, TrainablePolicy, TrainStep
from worker.maskgrpo.update import chosen_transitions, optimize


class TrainerState:
    """All that training changes; saved and loaded, the run goes on bit for bit.

    There is no generator among it: every use of chance is seeded by where in the run it stands.
    """

    def __init__(self, policy: TrainablePolicy, prompt_source: PromptSource, config: TrainConfig) -> None:
        parameters = {name: each for name, each in policy.named_parameters() if each.requires_grad}
        self.step = 0
        self.first_entropy = math.nan
        self.optimizer = PolicyOptimizer(parameters, config.optimizer, config.num_steps)
        self.sample_filter = SampleFilter(config.grpo.filter)
        self.prompt_source = prompt_source
        self.monitors = Monitors(config)

    def state_dict(self) -> dict[str, Any]:
        """Nested dicts of tensors and plain values: step, policy, average, moments, filter history, prompt cursor."""
        return {
            "step": self.step,
            "first_entropy": self.first_entropy,
            "optimizer": self.optimizer.state_dict(),
            "sample_filter": self.sample_filter.state_dict(),
            "prompt_source": self.prompt_source.state_dict(),
            "monitors": self.monitors.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave; the policy's parameters are overwritten in place.

        Raises:
            ValueError: the state is of another policy.
        """
        self.optimizer.load_state_dict(state["optimizer"])
        self.sample_filter.load_state_dict(state["sample_filter"])
        self.prompt_source.load_state_dict(state["prompt_source"])
        self.step = state["step"]
        self.first_entropy = state["first_entropy"]
        # A checkpoint of an earlier version has none: its run is watched from here on.
        if "monitors" in state:
            self.monitors.load_state_dict(state["monitors"])


def train(
    policy: TrainablePolicy,
    reference: Policy | None,
    reward_function: RewardFunction,
    prompt_source: PromptSource,
    config: TrainConfig,
    state: TrainerState | None = None,
    processes: Processes = ALONE,
) -> Iterator[TrainStep]:
    """Trains the policy in place; between two `next` calls the state is whole and may be saved.

    Args:
        policy: samples and is trained.
        reference: the frozen start, another object than the policy. Needed where `kl_beta` is above 0; otherwise, where
            it is given, the KL is measured on one group a step and changes nothing.
        reward_function: scores pictures.
        prompt_source: gives the prompts.
        config: the run's.
        state: where to go on; made anew when None.
        processes: those that share every step. Each drives a generator of its own, with the same arguments and in the
            same measure, and is yielded the same steps but for the seconds; the first alone measures an unweighted KL,
            and where the weights are sharded all do.

    Yields:
        The steps that are left, `config.num_steps` in all.

    Raises:
        ValueError: `kl_beta` above 0 without a reference, more unmasking steps than tokens.
        RewardNotFiniteError: a reward is NaN or infinite.
    """
    if reference is None and config.grpo.kl_beta > 0:
        raise ValueError(
            f"grpo.kl_beta is {config.grpo.kl_beta:g}, but there is no reference policy: give one, or set 0"
        )
    state = state or TrainerState(policy, prompt_source, config)
    collector = Collector(policy, reward_function, config, processes)
    while state.step < config.num_steps:
        step = _training_step(policy, reference, collector, config, state, processes)
        processes.check_agreement(state.optimizer.parameters, state.step)
        yield step


def _training_step(
    policy: TrainablePolicy,
    reference: Policy | None,
    collector: Collector,
    config: TrainConfig,
    state: TrainerState,
    processes: Processes,
) -> TrainStep:
    prompts = state.prompt_source.next_prompts(config.rollout.num_prompts)
    collection = collector.collect(prompts, state.step, state.sample_filter)
    started = time.perf_counter()
    measured_against = reference if processes.is_measuring else None
    kl_by_step = _measured_kl(measured_against, collection, config, state.step, policy)
    reports = optimize(policy, reference, collection.groups, config, state.optimizer, state.step, processes)
    seconds_update = time.perf_counter() - started
    metrics = collection_metrics(collection) | update_metrics(reports)
    metrics |= monitored_metrics(collection.first_groups, config.rewards)
    metrics |= {"learning_rate": state.optimizer.learning_rate(state.step), "seconds/update": seconds_update}
    credit = credit_by_step(reports, config.sampling.num_unmasking_steps)
    if kl_by_step:
        credit["kl"] = kl_by_step
        measured = [value for value in kl_by_step if not math.isnan(value)]
        metrics["kl"] = sum(measured) / len(measured)
    if math.isnan(state.first_entropy):
        state.first_entropy = metrics["entropy"]
    alarms = settings_alarms(config) if state.step == 0 else []
    of_step = step_alarms(collection, reports, metrics["entropy"], state.first_entropy, config)
    alarms += state.monitors.watch(metrics, of_step)
    state.step += 1
    return TrainStep(
        step=state.step,
        groups=collection.groups,
        metrics=metrics,
        credit=credit,
        alarms=tuple(alarms),
        standing=state.monitors.standing,
        seconds_rollout=collection.seconds_rollout,
        seconds_reward=collection.seconds_reward,
        seconds_update=seconds_update,
    )


@torch.no_grad()
def _measured_kl(
    reference: Policy | None, collection: Collection, config: TrainConfig, step: int, policy: Policy
) -> tuple[float, ...]:
    """The KL by unmasking step on the first kept group, before the update; empty where the loss has it already."""
    if reference is None or config.grpo.kl_beta > 0 or not collection.kept:
        return ()
    transitions = chosen_transitions(collection.kept[:1], config, step, 0, policy)
    transitions = with_old_terms(policy, transitions, config)
    there = replayed(reference, transitions, config).terms
    by_token = k3(transitions.old_terms, there, transitions.has_term)
    kl = by_token.sum(dim=1) / transitions.has_term.sum(dim=1)
    num_steps = config.sampling.num_unmasking_steps
    return tuple(float(kl[transitions.step == each].mean()) for each in range(num_steps))
