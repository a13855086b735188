"""How fast the gradient of one optimizer step is, against the published way on the same weights and transitions.

python -m tests.bench.bench_update; it first shows that all ways give the same gradient, then times them in turn, and
fails where ours is not at least twice as fast as the published way: one unmasking step of one image at a time, full
vocabulary, dense mask. A second baseline grants that way batches over the images, which is the harder comparison.
"""

from __future__ import annotations

import sys

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
from worker.maskgrpo.replay import Transitions, transitions_of
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.update import accumulate
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
    optimizer=OptimizerConfig(num_micro_batches=2),
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


def main() -> int:
    """Compare, time, print; 1 where the ratio is too small or the gradients differ."""
    policy = load_policy(SHIPPED_WEIGHTS, torch.device("cpu"))
    whole = make_transitions(policy)
    # The published way is slow, and a transition's cost does not depend on the others: an eighth of them will do.
    few = whole.index(torch.arange(0, len(whole), 7))
    ways = [
        Way(
            "published: one unmasking step of one image at a time",
            lambda: accumulate_one_by_one(policy, few, CONFIG.grpo, 0.0),
            len(few),
        ),
        Way(
            "published, granted batches: one unmasking step at a time",
            lambda: accumulate_step_by_step(policy, whole, CONFIG.grpo, 0.0),
            len(whole),
        ),
        Way(
            "ours: all unmasking steps of all images, rows of the loss only",
            lambda: accumulate(policy, None, whole, len(whole), CONFIG),
            len(whole),
        ),
    ]
    accumulate_one_by_one(policy, few, CONFIG.grpo, 0.0)
    slow = gradient(policy)
    accumulate(policy, None, few, len(few), CONFIG)
    difference = ((gradient(policy) - slow).norm() / slow.norm()).item()
    print(f"relative difference of the gradients: {difference:.1e}")
    seconds = seconds_a_unit(ways, num_rounds=3)
    policy.zero_grad()
    print_table(f"Gradient of one optimizer step, {torch.get_num_threads()} threads", "transitions", ways, seconds)
    is_good = seconds[0] / seconds[2] >= SMALLEST_RATIO and difference < 1e-3
    print(f"  wanted: at least {SMALLEST_RATIO:g}x the published way: {'met' if is_good else 'NOT MET'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
