"""How many pictures a second the rollout of a batch of groups makes, against the published way on the same weights.

python -m tests.bench.bench_rollout; it first shows that both ways make the same pictures from the same noise, then
times them in turn, and fails where ours is not at least 4 times as fast.
"""

from __future__ import annotations

import sys

import torch

from backend.schemas.algorithm import SamplingConfig
from tests.bench.published_way import full_vocabulary_log_probs, sample_one
from tests.bench.timing import Way, print_table, seconds_a_unit
from worker.maskgrpo.sampling import rollout
from worker.shapes.captions import all_captions
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy
from worker.showo.policy import ShowoPolicy

# The default recipe has this shape (tiny-shapes.yaml).
NUM_PROMPTS, GROUP_SIZE, NUM_PUBLISHED = 18, 8, 6
SAMPLING = SamplingConfig(num_unmasking_steps=8)
SMALLEST_RATIO = 4.0


def largest_difference(policy: ShowoPolicy, prompts: list[str]) -> float:
    """The largest difference in any log-probability between the two ways, over states of all degrees of masking."""
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for place, prompt in enumerate(prompts):
        codes = torch.randint(policy.codebook_size, (1, policy.num_image_tokens), generator=generator)
        codes[torch.rand(codes.shape, generator=generator) < (place + 1) / len(prompts)] = policy.codebook_size
        codes = codes.to(policy.device)
        with torch.no_grad():
            fast = policy.code_logits(policy.prefix([prompt]), codes)[0].log_softmax(dim=-1)
            slow = full_vocabulary_log_probs(policy, prompt, codes[0], 0.0)
        largest = max(largest, (fast - slow).abs().max().item())
    return largest


def share_of_equal_pictures(policy: ShowoPolicy, prompts: list[str], sampling: SamplingConfig) -> float:
    """How many of the pictures that both ways make from the same seeds have the same codes, kept in the same order."""
    ours = rollout(policy, prompts, range(len(prompts)), sampling)
    num_equal = 0
    for seed, prompt in enumerate(prompts):
        theirs = sample_one(policy, prompt, seed, sampling)
        is_equal = torch.equal(theirs.codes, ours.codes[seed])
        num_equal += is_equal and torch.equal(theirs.unmasked_at, ours.unmasked_at[seed])
    return num_equal / len(prompts)


def main() -> int:
    """Compare, time, print; 1 where the ratio is too small or the ways differ."""
    policy = load_policy(SHIPPED_WEIGHTS, torch.device("cpu"))
    captions = [caption.text for caption in all_captions("heldout")[: 2 * NUM_PROMPTS]]
    difference = largest_difference(policy, captions[:NUM_PROMPTS])
    equal = share_of_equal_pictures(policy, captions, SAMPLING)
    print(f"largest difference of a log-probability: {difference:.1e}; pictures equal code for code: {equal:.0%}")
    prompts = [prompt for prompt in captions[:NUM_PROMPTS] for _ in range(GROUP_SIZE)]
    seeds = range(len(prompts))
    published = prompts[:: len(prompts) // NUM_PUBLISHED][:NUM_PUBLISHED]
    ways = [
        Way(
            "published: one image, full vocabulary, dense mask, no reuse",
            lambda: [sample_one(policy, prompt, seed, SAMPLING) for seed, prompt in enumerate(published)],
            len(published),
        ),
        Way(
            f"ours: {NUM_PROMPTS} groups of {GROUP_SIZE} as one batch",
            lambda: rollout(policy, prompts, seeds, SAMPLING),
            len(prompts),
        ),
    ]
    seconds = seconds_a_unit(ways, num_rounds=3)
    threads = torch.get_num_threads()
    print_table(f"Rollout, {SAMPLING.num_unmasking_steps} unmasking steps, {threads} threads", "images", ways, seconds)
    ratio = seconds[0] / seconds[1]
    is_good = ratio >= SMALLEST_RATIO and difference < 1e-3 and equal >= 0.95
    print(f"  wanted: at least {SMALLEST_RATIO:g}x: {'met' if is_good else 'NOT MET'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
