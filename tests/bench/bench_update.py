"""How fast one optimizer step is, against the published way on the same weights and transitions.

python -m tests.bench.bench_update; it first shows that all ways give the same gradient, then times them in turn, each
with AdamW's step at its end, and fails where ours is not at least twice as fast as both baselines: one unmasking step
of one image at a time, full vocabulary, dense mask; and the same with batches over the images, which is the harder one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from backend.schemas.algorithm import (
    MaskGRPOConfig,
    OptimizerConfig,
    RatioLevel,
    SamplingConfig,
    StepSelection,
    TransitionDefinition,
)
from backend.schemas.config import TrainConfig
from tests.bench.published_way import accumulate_one_by_one, accumulate_step_by_step
from tests.bench.timing import Way, print_table, seconds_a_unit
from worker.maskgrpo.gradient import accumulate
from worker.maskgrpo.optimizer import PolicyOptimizer
from worker.maskgrpo.replay import Transitions, transitions_of
from worker.maskgrpo.sampling import rollout
from worker.shapes.captions import all_captions
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy
from worker.showo.policy import ShowoPolicy

NUM_PROMPTS, GROUP_SIZE = 4, 6
SMALLEST_RATIO = 2.0
CONFIG = TrainConfig(
    sampling=SamplingConfig(num_unmasking_steps=8),
    grpo=MaskGRPOConfig(
        transition=TransitionDefinition.CANDIDATE_2, ratio=RatioLevel.MEAN, step_selection=StepSelection.ALL
    ),
    # So low that the many steps of a measurement leave the ratios at 1 and no gradient is clipped away.
    optimizer=OptimizerConfig(num_micro_batches=2, learning_rate=1e-8, weight_decay=0),
)


def make_transitions(policy: ShowoPolicy) -> Transitions:
    """All unmasking steps of a few groups, with made-up advantages."""
    captions = [caption.text for caption in all_captions("train")[:: len(all_captions("train")) // NUM_PROMPTS]]
    prompts = [prompt for prompt in captions[:NUM_PROMPTS] for _ in range(GROUP_SIZE)]
    made = rollout(policy, prompts, range(len(prompts)), CONFIG.sampling, CONFIG.grpo.transition)
    advantages = torch.randn(len(prompts), generator=torch.Generator().manual_seed(0))
    steps = torch.arange(CONFIG.sampling.num_unmasking_steps).expand(len(prompts), -1)
    return transitions_of(made, prompts, advantages, steps, policy.codebook_size, CONFIG.grpo.transition)


def gradient(policy: ShowoPolicy) -> Tensor:
    """The accumulated gradient as one vector, and forgets it."""
    parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    vector = torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])
    policy.zero_grad()
    return vector


def ways_of(policy: ShowoPolicy, whole: Transitions) -> list[Way]:
    """Whole optimizer steps: gradient of all transitions, clipping, AdamW."""
    parameters = {name: each for name, each in policy.named_parameters() if each.requires_grad}
    optimizer = PolicyOptimizer(parameters, CONFIG.optimizer, CONFIG.num_steps)

    def step_of(accumulation: Callable[[], object]) -> Callable[[], None]:
        def step() -> None:
            optimizer.zero_gradient()
            accumulation()
            assert optimizer.apply(0).is_applied

        return step

    return [
        Way(
            "published: one unmasking step of one image at a time",
            step_of(lambda: accumulate_one_by_one(policy, whole, CONFIG.grpo, 0.0)),
            len(whole),
        ),
        Way(
            "published, granted batches: one unmasking step at a time",
            step_of(lambda: accumulate_step_by_step(policy, whole, CONFIG.grpo, 0.0)),
            len(whole),
        ),
        Way(
            "ours: all unmasking steps of all images, rows of the loss only",
            step_of(lambda: accumulate(policy, None, whole, len(whole), CONFIG)),
            len(whole),
        ),
    ]


def main() -> int:
    """Compare, time, print; 1 where a ratio is too small or the gradients differ."""
    policy = load_policy(SHIPPED_WEIGHTS, torch.device("cpu"))
    whole = make_transitions(policy)
    accumulate_one_by_one(policy, whole, CONFIG.grpo, 0.0)
    slow = gradient(policy)
    accumulate_step_by_step(policy, whole, CONFIG.grpo, 0.0)
    batched = gradient(policy)
    accumulate(policy, None, whole, len(whole), CONFIG)
    ours = gradient(policy)
    differences = [((each - slow).norm() / slow.norm()).item() for each in (batched, ours)]
    print(f"relative differences from the first way's gradient: {differences[0]:.1e}, {differences[1]:.1e}")
    ways = ways_of(policy, whole)
    seconds = seconds_a_unit(ways, num_rounds=3)
    print_table(f"One optimizer step, {torch.get_num_threads()} threads", "transitions", ways, seconds)
    is_good = max(differences) < 1e-3
    for way, each in zip(ways[:2], seconds[:2], strict=True):
        is_met = each / seconds[2] >= SMALLEST_RATIO
        is_good = is_good and is_met
        print(f"  wanted: at least {SMALLEST_RATIO:g}x '{way.name}': {'met' if is_met else 'NOT MET'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
