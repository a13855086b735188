"""One optimizer step at middle size: speed and peak memory against the published way, and without each saving.

python -m tests.bench.bench_middle_update [--quick]. It first shows that all ways give the same gradient. It fails where
ours is not at least 2.5 times as fast as both published ways, or where the peak of what the step needs beside weights
and moments, which are the same everywhere, is above a third of the published one's (measured in a process each).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from tests.bench.ablations import ABLATIONS, ablated
from tests.bench.bench_middle_rollout import verdict
from tests.bench.device_rate import print_shares, shares_by_kind
from tests.bench.middle import middle_policy
from tests.bench.middle_step import (
    SETTINGS,
    WAYS,
    Setting,
    accumulation,
    optimizer_of,
    our_accumulation,
    step_of,
    transitions,
)
from tests.bench.timing import Way, print_table, seconds_a_unit
from worker.job_process import job_environment
from worker.showo.policy import ShowoPolicy

SMALLEST_RATIO = 2.5
LARGEST_PEAK = 1 / 3


def gradient(policy: ShowoPolicy, accumulate_gradient: Callable[[], object]) -> Tensor:
    """The gradient as one vector; it is forgotten afterwards."""
    accumulate_gradient()
    found = [parameter.grad.flatten() for parameter in policy.showo.parameters() if parameter.grad is not None]
    vector = torch.cat(found)
    policy.zero_grad()
    return vector


def compare_speed(policy: ShowoPolicy, setting: Setting, num_rounds: int) -> bool:
    """Gradients, then whole optimizer steps in turn."""
    whole = transitions(policy, setting)
    optimizer = optimizer_of(policy, setting)
    accumulations = {way: accumulation(way, policy, whole, setting) for way in WAYS}
    slow, *others = (gradient(policy, each) for each in accumulations.values())
    differences = [float((other - slow).norm() / slow.norm()) for other in others]
    print(f"relative differences from the first way's gradient: {differences[0]:.1e}, {differences[1]:.1e}")
    met = [verdict("the same gradient", max(differences) < 1e-3)]
    ways = [Way(WAYS[way], step_of(optimizer, each), len(whole)) for way, each in accumulations.items()]
    seconds = seconds_a_unit(ways, num_rounds)
    print_table(f"One optimizer step of {len(whole)} transitions, {policy.device}", "transitions", ways, seconds)
    for way, each in zip(ways[:2], seconds[:2], strict=True):
        met.append(verdict(f"at least {SMALLEST_RATIO:g}x '{way.name}'", each / seconds[2] >= SMALLEST_RATIO))
    print_shares("Where our step's time goes", shares_by_kind(ways[2].run, policy.device))
    without_each(policy, setting, num_rounds)
    return all(met)


def without_each(policy: ShowoPolicy, setting: Setting, num_rounds: int) -> None:
    """Our step with each saving switched off alone."""
    whole, optimizer = transitions(policy, setting), optimizer_of(policy, setting)

    def without(name: str) -> Callable[[], object]:
        def run() -> None:
            with ablated(policy, name) as slower:
                step_of(optimizer, our_accumulation(slower, whole, setting))()

        return run

    step = step_of(optimizer, our_accumulation(policy, whole, setting))
    ways = [Way("with all savings", step, len(whole))]
    ways += [Way(f"without {name}: {what}", without(name), len(whole)) for name, what in ABLATIONS.items()]
    seconds = seconds_a_unit(ways, num_rounds)
    print(f"\nEach saving switched off alone, {policy.device}")
    for way, each in zip(ways, seconds, strict=True):
        print(f"  {way.name:<88} {1 / each:>8.2f} transitions/s  {each / seconds[0]:>5.2f}x the time")


def compare_memory(name: str) -> bool:
    """Peaks of a step in a process each, with the memory settings that jobs have."""
    needs: dict[str, int] = {}
    print("\nPeak memory of one optimizer step, in a process each")
    print(f"  {'way':<62} {'before':>10} {'peak':>10} {'the step':>10}   MiB")
    for way, title in WAYS.items():
        environment = job_environment({"policy": {"device": "cpu"}}, os.environ)
        command = [sys.executable, "-m", "tests.bench.middle_step", way, name]
        found = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)
        needs[way] = found["peak"] - found["before"]
        before, peak, step = (number >> 20 for number in (found["before"], found["peak"], needs[way]))
        print(f"  {title:<62} {before:>10} {peak:>10} {step:>10}")
    share = needs["ours"] / needs["step_by_step"]
    return verdict(f"at most {LARGEST_PEAK:.0%} of '{WAYS['step_by_step']}' (it is {share:.0%})", share <= LARGEST_PEAK)


def main() -> int:
    """1 where a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a shallow model and few rounds: does it run, not how fast"
    )
    name, num_rounds = ("quick", 1) if parser.parse_args().quick else ("whole", 3)
    setting = SETTINGS[name]
    print(
        f"== {setting.middle.num_layers} layers of {setting.middle.hidden_size}, {torch.get_num_threads()} threads =="
    )
    met = [compare_memory(name)]
    devices = [torch.device("cpu")] + ([torch.device("cuda")] if torch.cuda.is_available() else [])
    for device in devices:
        met.append(compare_speed(middle_policy(setting.middle, device), setting, num_rounds))
    if len(devices) == 1:
        print("\nNo GPU is visible to torch: its table is left out.")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
