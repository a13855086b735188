"""Rollout of a group at middle size: against the published way, against the machine's rate, and without each saving.

python -m tests.bench.bench_middle_rollout [--quick]; on the CPU, and the same table on a GPU where there is one. It
first shows that both ways have the same distribution. It fails where ours is not at least twice as fast, with and
without guidance, or where the CPU's rollout reaches less than 60 % of the measured rate of matrix products.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch

from backend.preflight.operations import rollout_operations
from backend.schemas.algorithm import SamplingConfig
from tests.bench.ablations import ABLATIONS, ablated
from tests.bench.bench_rollout import largest_difference
from tests.bench.device_rate import matrix_product, print_shares, shares_by_kind
from tests.bench.middle import Middle, middle_policy, prompts_of
from tests.bench.published_way import sample_one
from tests.bench.timing import Way, print_table, seconds_a_unit
from worker.maskgrpo.sampling import rollout
from worker.showo.policy import ShowoPolicy

GUIDANCE_SCALE = 5.0
SMALLEST_RATIO = 2.0
SMALLEST_SHARE = 0.6
NUM_TEXT_TOKENS = 16  # Of the prompts that `prompts_of` makes, with their special tokens.


@dataclass(frozen=True)
class Setting:
    """What is measured, and how often."""

    middle: Middle
    group_size: int
    num_unmasking_steps: int
    num_rounds: int

    def sampling(self, guidance_scale: float) -> SamplingConfig:
        """The paper's steps and temperature, shortened."""
        return SamplingConfig(num_unmasking_steps=self.num_unmasking_steps, guidance_scale=guidance_scale)


WHOLE = Setting(Middle(), group_size=6, num_unmasking_steps=8, num_rounds=3)
QUICK = Setting(Middle(num_layers=3), group_size=4, num_unmasking_steps=3, num_rounds=1)
GPU = Setting(Middle(), group_size=48, num_unmasking_steps=16, num_rounds=5)


def verdict(name: str, is_met: bool) -> bool:
    """Prints the bound and whether it is met."""
    print(f"  wanted: {name}: {'met' if is_met else 'NOT MET'}")
    return is_met


def compare(policy: ShowoPolicy, setting: Setting, guidance_scale: float) -> bool:
    """Our rollout of a group against the published way, one picture at a time."""
    sampling, prompt = setting.sampling(guidance_scale), prompts_of(1)[0]
    ways = [
        Way("published: one image, full vocabulary, dense mask", lambda: sample_one(policy, prompt, 1, sampling), 1),
        Way(f"ours: a group of {setting.group_size}", group_rollout(policy, setting, sampling), setting.group_size),
    ]
    title = f"Rollout of a group, {sampling.num_unmasking_steps} unmasking steps, guidance {guidance_scale:g}"
    seconds = seconds_a_unit(ways, setting.num_rounds)
    print_table(title, "images", ways, seconds)
    return verdict(f"at least {SMALLEST_RATIO:g}x", seconds[0] / seconds[1] >= SMALLEST_RATIO)


def group_rollout(policy: torch.nn.Module, setting: Setting, sampling: SamplingConfig) -> Callable[[], object]:
    """Unmasks one group."""
    prompts = prompts_of(1) * setting.group_size
    return lambda: rollout(policy, prompts, range(setting.group_size), sampling)  # type: ignore[arg-type]


def share_of_rate(policy: ShowoPolicy, setting: Setting) -> bool:
    """How much of the device's measured rate of matrix products the rollout reaches, and where the rest goes."""
    run = group_rollout(policy, setting, setting.sampling(0.0))
    operations = rollout_operations(
        setting.middle.sizes,
        setting.num_unmasking_steps,
        num_prompts=1,
        group_size=setting.group_size,
        num_text_tokens=NUM_TEXT_TOKENS,
        is_guided=False,
    )
    product = matrix_product(policy.device, policy.showo.autocast_dtype or torch.float32)
    # Before and after every rollout, so that both meet the same machine.
    seconds = seconds_a_unit([product, Way("rollout", run, operations), product], max(3, setting.num_rounds))
    rate = 2 / (seconds[0] + seconds[2])
    share = 1 / seconds[1] / rate
    print(f"\nShare of the device's rate, {policy.device}")
    print(f"  matrix products {rate / 1e9:.0f} billion operations/s; rollout {1 / seconds[1] / 1e9:.0f}: {share:.0%}")
    print_shares("Where the rollout's time goes", shares_by_kind(run, policy.device))
    if policy.device.type != "cpu":
        return True
    return verdict(f"at least {SMALLEST_SHARE:.0%} of the rate of matrix products", share >= SMALLEST_SHARE)


def without_each(policy: ShowoPolicy, setting: Setting) -> None:
    """The same rollout with each saving switched off alone."""
    sampling = setting.sampling(0.0)

    def without(name: str) -> Callable[[], object]:
        def run() -> None:
            with ablated(policy, name) as slower:
                group_rollout(slower, setting, sampling)()

        return run

    ways = [Way("with all savings", group_rollout(policy, setting, sampling), setting.group_size)]
    ways += [Way(f"without {name}: {what}", without(name), setting.group_size) for name, what in ABLATIONS.items()]
    seconds = seconds_a_unit(ways, setting.num_rounds)
    print(f"\nEach saving switched off alone, {policy.device}")
    for way, each in zip(ways, seconds, strict=True):
        print(f"  {way.name:<88} {1 / each:>8.2f} images/s  {each / seconds[0]:>5.2f}x the time")


def compiled_worth(policy: ShowoPolicy, setting: Setting) -> None:
    """The same rollout with compiled layers, which from here on the policy has."""
    run = group_rollout(policy, setting, setting.sampling(0.0))
    before = seconds_a_unit([Way("as they are", run, setting.group_size)], setting.num_rounds)[0]
    policy.showo.compile_layers()
    after = seconds_a_unit([Way("compiled", run, setting.group_size)], setting.num_rounds)[0]
    print(f"\nCompiled layers, {policy.device}: {1 / before:.2f} -> {1 / after:.2f} images/s, {before / after:.2f}x")


def measure(setting: Setting, device: torch.device) -> bool:
    """All tables of one device."""
    policy = middle_policy(setting.middle, device)
    print(f"\n== {device}, {setting.middle.num_layers} layers of {setting.middle.hidden_size}, ", end="")
    print(f"{torch.get_num_threads()} threads ==")
    difference = largest_difference(policy, prompts_of(4))
    print(f"largest difference of a log-probability between the two ways: {difference:.1e}")
    met = [verdict("the same distribution", difference < 1e-3)]
    met += [compare(policy, setting, guidance_scale) for guidance_scale in (0.0, GUIDANCE_SCALE)]
    met.append(share_of_rate(policy, setting))
    without_each(policy, setting)
    if device.type == "cuda":
        compiled_worth(policy, setting)
    return all(met)


def main() -> int:
    """1 where a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a shallow model and few rounds: does it run, not how fast"
    )
    setting = QUICK if parser.parse_args().quick else WHOLE
    met = [measure(setting, torch.device("cpu"))]
    if torch.cuda.is_available():
        met.append(measure(GPU, torch.device("cuda")))
    else:
        print("\nNo GPU is visible to torch: its table is left out.")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
