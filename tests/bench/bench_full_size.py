"""Rollout and optimizer step at Show-o's published size, random weights, bfloat16, on a GPU: the middle size's tables.

python -m tests.bench.bench_full_size [--grid 16]; it says so and measures nothing where torch sees no GPU. Both ways
run under the same autocast. Memory is what torch's allocator hands out. It fails where ours misses the middle size's
bounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from tests.bench import bench_middle_rollout as of_rollout
from tests.bench.bench_middle_rollout import GUIDANCE_SCALE, verdict
from tests.bench.bench_middle_update import LARGEST_PEAK, SMALLEST_RATIO
from tests.bench.bench_rollout import largest_difference
from tests.bench.device_rate import print_shares, shares_by_kind
from tests.bench.middle import Middle, middle_policy, prompts_of
from tests.bench.middle_step import WAYS, Setting, accumulation, optimizer_of, step_of, transitions
from tests.bench.published_way import sample_one
from tests.bench.timing import Way, print_table, seconds_a_unit
from worker.showo.policy import ShowoPolicy

HIDDEN, LAYERS = 2048, 24
# A group of the paper; a third of its unmasking steps, for each costs the same.
GROUP_SIZE, NUM_UNMASKING_STEPS, NUM_ROUNDS = 6, 16, 3
NUM_STEP_UNMASKINGS = 4
GIB = 1 << 30


@contextmanager
def half(policy: ShowoPolicy) -> Iterator[None]:
    """The way that is not ours multiplies in bfloat16 as ours does."""
    with torch.autocast(policy.device.type, dtype=torch.bfloat16):
        yield


def published(policy: ShowoPolicy, run: Callable[[], object]) -> Callable[[], object]:
    """A published way, under autocast."""

    def call() -> object:
        with half(policy):
            return run()

    return call


def compare_rollouts(policy: ShowoPolicy, setting: of_rollout.Setting, guidance_scale: float) -> bool:
    """Images a second of both ways."""
    sampling, prompt = setting.sampling(guidance_scale), prompts_of(1)[0]
    ways = [
        Way("published: one image", published(policy, lambda: sample_one(policy, prompt, 1, sampling)), 1),
        Way(f"ours: a group of {GROUP_SIZE}", of_rollout.group_rollout(policy, setting, sampling), setting.group_size),
    ]
    seconds = seconds_a_unit(ways, setting.num_rounds)
    title = f"Rollout of a group, {sampling.num_unmasking_steps} unmasking steps, guidance {guidance_scale:g}"
    print_table(title, "images", ways, seconds)
    return verdict(f"at least {of_rollout.SMALLEST_RATIO:g}x", seconds[0] / seconds[1] >= of_rollout.SMALLEST_RATIO)


def compare_steps(policy: ShowoPolicy, setting: Setting) -> bool:
    """Transitions a second and peak memory of an optimizer step, by all three ways and with gradient checkpointing."""
    whole, optimizer = transitions(policy, setting), optimizer_of(policy, setting)
    runs = {way: step_of(optimizer, accumulation(way, policy, whole, setting)) for way in WAYS}
    runs = {way: run if way == "ours" else published(policy, run) for way, run in runs.items()}  # type: ignore[misc]
    ways = [Way(WAYS[way], run, len(whole)) for way, run in runs.items()]

    def checkpointed() -> None:
        policy.showo.is_checkpointed = True
        try:
            runs["ours"]()
        finally:
            policy.showo.is_checkpointed = False

    ways.append(Way("ours, gradient checkpointing", checkpointed, len(whole)))
    seconds = seconds_a_unit(ways, NUM_ROUNDS)
    print_table(f"One optimizer step of {len(whole)} transitions", "transitions", ways, seconds)
    peaks = [peak_of(way.run) for way in ways]
    for way, peak in zip(ways, peaks, strict=True):
        print(f"  {way.name:<62} {peak / GIB:>10.2f} GiB beside weights and moments")
    print_shares("Where our step's time goes", shares_by_kind(ways[2].run, policy.device))
    met = [verdict(f"at least {SMALLEST_RATIO:g}x '{ways[1].name}'", seconds[1] / seconds[2] >= SMALLEST_RATIO)]
    share = peaks[2] / peaks[1]
    met.append(verdict(f"at most {LARGEST_PEAK:.0%} of its memory (it is {share:.0%})", share <= LARGEST_PEAK))
    return all(met)


def peak_of(run: Callable[[], object]) -> int:
    """Bytes that a run takes beside what is held before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def main() -> int:
    """1 where a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=int, default=32, help="codes a side: 32 for 512 px, 16 for 256 px")
    grid = parser.parse_args().grid
    if not torch.cuda.is_available():
        print("No GPU is visible to torch: the published size is not measured.")
        return 0
    middle = Middle(hidden_size=HIDDEN, num_layers=LAYERS, grid_size=grid)
    policy = middle_policy(middle, "cuda")
    print(f"== {torch.cuda.get_device_name()}, torch {torch.__version__}, {grid * grid} tokens, bfloat16 ==")
    difference = largest_difference(policy, prompts_of(4))
    print(f"largest difference of a log-probability between the two ways, float32: {difference:.1e}")
    met = [verdict("the same distribution", difference < 1e-3)]
    policy.showo.autocast_dtype = torch.bfloat16
    step = Setting(middle, GROUP_SIZE, NUM_STEP_UNMASKINGS)
    setting = of_rollout.Setting(middle, GROUP_SIZE, NUM_UNMASKING_STEPS, NUM_ROUNDS)
    met += [compare_rollouts(policy, setting, guidance_scale) for guidance_scale in (0.0, GUIDANCE_SCALE)]
    met.append(compare_steps(policy, step))
    of_rollout.share_of_rate(policy, setting)
    of_rollout.without_each(policy, setting)
    of_rollout.compiled_worth(policy, setting)
    print("\n== the same with compiled layers ==")
    for guidance_scale in (0.0, GUIDANCE_SCALE):
        compare_rollouts(policy, setting, guidance_scale)
    compare_steps(policy, step)
    of_rollout.share_of_rate(policy, setting)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
