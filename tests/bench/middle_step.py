"""One optimizer step at middle size by three ways, and what a process needs for one of them at its peak.

python -m tests.bench.middle_step WAY SETTING prints the bytes of one step as JSON: it is the child process of
`bench_middle_update`, for a peak is of a whole process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from backend.schemas.algorithm import (
    MaskGRPOConfig,
    OptimizerConfig,
    RatioLevel,
    SamplingConfig,
    StepSelection,
    TransitionDefinition,
)
from backend.schemas.config import TrainConfig
from tests.bench.middle import Middle, middle_policy, prompts_of
from tests.bench.published_way import accumulate_one_by_one, accumulate_step_by_step
from tests.bench.resident import forget_peak, peak_bytes, resident_bytes
from worker.maskgrpo.gradient import accumulate
from worker.maskgrpo.optimizer import PolicyOptimizer
from worker.maskgrpo.replay import Transitions, transitions_of
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.types import Policy
from worker.showo.policy import ShowoPolicy


@dataclass(frozen=True)
class Setting:
    """A group's unmasking steps, as one optimizer step."""

    middle: Middle
    group_size: int
    num_unmasking_steps: int

    @property
    def config(self) -> TrainConfig:
        """Micro-batches of half as many transitions as a published pass has pictures: they cost hardly any time."""
        return TrainConfig(
            sampling=SamplingConfig(num_unmasking_steps=self.num_unmasking_steps),
            grpo=MaskGRPOConfig(
                transition=TransitionDefinition.CANDIDATE_2, ratio=RatioLevel.MEAN, step_selection=StepSelection.ALL
            ),
            # So low that the many steps of a measurement leave the ratios at 1 and no gradient is clipped away.
            optimizer=OptimizerConfig(
                num_micro_batches=2 * self.num_unmasking_steps,
                learning_rate=1e-8,
                weight_decay=0,
                max_gradient_norm=1e6,
            ),
        )


WHOLE = Setting(Middle(), group_size=6, num_unmasking_steps=4)
QUICK = Setting(Middle(num_layers=3), group_size=4, num_unmasking_steps=2)
SETTINGS: Mapping[str, Setting] = {"whole": WHOLE, "quick": QUICK}
WAYS: Mapping[str, str] = {
    "one_by_one": "published: one unmasking step of one image at a time",
    "step_by_step": "published, granted batches: one unmasking step at a time",
    "ours": "ours: rows of the loss only, half as many images a pass",
}


def transitions(policy: ShowoPolicy, setting: Setting) -> Transitions:
    """All unmasking steps of one group, with made-up advantages."""
    prompts = prompts_of(1) * setting.group_size
    config, steps = setting.config, torch.arange(setting.num_unmasking_steps)
    made = rollout(policy, prompts, range(len(prompts)), config.sampling, config.grpo.transition)
    advantages = torch.randn(len(prompts), generator=torch.Generator().manual_seed(0))
    chosen = steps.expand(len(prompts), -1)
    return transitions_of(made, prompts, advantages, chosen, policy.codebook_size, config.grpo.transition)


def accumulation(way: str, policy: ShowoPolicy, whole: Transitions, setting: Setting) -> Callable[[], object]:
    """The gradient of all transitions, by one of the ways."""
    if way == "one_by_one":
        return lambda: accumulate_one_by_one(policy, whole, setting.config.grpo, 0.0)
    if way == "step_by_step":
        return lambda: accumulate_step_by_step(policy, whole, setting.config.grpo, 0.0)
    return our_accumulation(policy, whole, setting)


def our_accumulation(policy: Policy, whole: Transitions, setting: Setting) -> Callable[[], object]:
    """Ours, also around an ablated policy."""
    return lambda: accumulate(policy, None, whole, len(whole), setting.config)


def optimizer_of(policy: ShowoPolicy, setting: Setting) -> PolicyOptimizer:
    """AdamW on the transformer."""
    parameters = {name: each for name, each in policy.named_parameters() if each.requires_grad}
    return PolicyOptimizer(parameters, setting.config.optimizer, setting.config.num_steps)


def step_of(optimizer: PolicyOptimizer, accumulate_gradient: Callable[[], object]) -> Callable[[], None]:
    """A whole optimizer step: gradient, clipping, AdamW."""

    def step() -> None:
        optimizer.zero_gradient()
        accumulate_gradient()
        assert optimizer.apply(0).is_applied

    return step


def measure(way: str, setting: Setting) -> dict[str, int]:
    """Bytes that are resident before a step, and at its peak; the moments are there before, the gradient is not."""
    policy = middle_policy(setting.middle)
    whole = transitions(policy, setting)
    optimizer = optimizer_of(policy, setting)
    for parameter in policy.showo.parameters():
        parameter.grad = torch.full_like(parameter, 1e-8)
    assert optimizer.apply(0).is_applied
    optimizer.zero_gradient()
    forget_peak()
    before = resident_bytes()
    step_of(optimizer, accumulation(way, policy, whole, setting))()
    return {"before": before, "peak": peak_bytes()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], SETTINGS[sys.argv[2]])))
