"""The preflight's memory against measured peaks: training steps in a child process, as a job makes them.

python -m tests.bench.measured_peaks [SIZE ...] prints estimate and measurement by moment, and fails where one whole
peak is off by more than a fifth. With `--child SIZE` it is the child and prints its bytes as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from backend.preflight.memory import Memory, memory_of
from backend.preflight.plan import plan_of
from backend.preflight.sizes import PolicySizes, read_sizes
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.config import TrainConfig
from tests.bench.middle import Middle, middle_policy, prompts_of
from tests.bench.resident import forget_peak, peak_bytes, resident_bytes
from worker.job_process import job_environment
from worker.maskgrpo import collection, trainer
from worker.rewards.build import build_reward
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy

LARGEST_ERROR = 0.2


@dataclass(frozen=True)
class Case:
    """A policy and the settings of its training, as far as they are not the defaults."""

    middle: Mapping[str, int] | None
    """the sizes of a random policy; None for the shipped one"""
    settings: Mapping[str, Any]

    @property
    def config(self) -> TrainConfig:
        """The whole configuration: two steps, for AdamW's moments come with the first."""
        return TrainConfig.model_validate(
            {"num_steps": 2, "rewards": [{"name": "jpeg_size"}], "grpo": {"transition": "candidate_2"}, **self.settings}
        )


def _settings(num_prompts: int, group_size: int, num_steps: int, num_parts: int, **other: Any) -> dict[str, Any]:
    return {
        "rollout": {"num_prompts": num_prompts, "group_size": group_size},
        "sampling": {"num_unmasking_steps": num_steps},
        "optimizer": {"num_micro_batches": num_parts},
        **other,
    }


_SMALL = {"hidden_size": 256, "num_layers": 6, "grid_size": 8, "num_words": 2000, "codebook_bits": 10}
_LARGE = {"hidden_size": 512, "num_layers": 8, "grid_size": 16, "num_words": 8000, "codebook_bits": 13}
CASES: Mapping[str, Case] = {
    "shipped": Case(None, _settings(18, 8, 8, 4)),
    "small": Case(_SMALL, _settings(4, 6, 4, 2)),
    "large": Case(_LARGE, _settings(1, 4, 2, 2)),
    "small-checkpointed": Case(_SMALL, _settings(4, 6, 4, 2, scaling={"is_gradient_checkpointed": True})),
    "small-half": Case(_SMALL, _settings(4, 6, 4, 2, policy={"precision": "bfloat16"})),
    "small-lora": Case(_SMALL, _settings(4, 6, 4, 2, lora={"is_enabled": True, "rank": 8})),
    "small-guided": Case(_SMALL, _settings(2, 6, 4, 2, sampling={"num_unmasking_steps": 4, "guidance_scale": 3.0})),
}
SIZES = ("shipped", "small", "large")


def sizes_of(case: Case) -> PolicySizes:
    """The sizes as the preflight reads them."""
    return read_sizes(SHIPPED_POLICY) if case.middle is None else Middle(**case.middle).sizes


def estimate(case: Case) -> Memory:
    """By moment, what the preflight says."""
    return memory_of(plan_of(case.config, sizes_of(case)), "cpu")


def warm_up() -> None:
    """Loads what torch loads late, such as the compiler that AdamW imports: it belongs to the bare process."""
    weight = torch.nn.Parameter(torch.randn(64, 64))
    optimizer = torch.optim.AdamW([weight], foreach=False)
    (weight @ torch.randn(64, 64)).sum().backward()
    optimizer.step()


def measure(case: Case) -> dict[str, int]:
    """Resident bytes in this process: before the policy is there, and the peak of each moment of the second step."""
    torch.set_num_threads(1)
    warm_up()
    found = {"process": resident_bytes()}
    config = case.config

    def load() -> Any:
        return load_policy(SHIPPED_WEIGHTS) if case.middle is None else middle_policy(Middle(**case.middle))

    policy, reference = load(), load().requires_grad_(False)

    class Prompts:
        def next_prompts(self, num_prompts: int) -> list[str]:
            return prompts_of(num_prompts)

        def state_dict(self) -> dict[str, object]:
            return {}

        def load_state_dict(self, state: dict[str, object]) -> None: ...

    def noted(moment: str, function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            forget_peak()
            try:
                return function(*args, **options)
            finally:
                found[moment] = peak_bytes()

        return call

    collection.rollout = noted("rollout", collection.rollout)  # type: ignore[attr-defined]
    policy.decode = noted("decoding", policy.decode)
    trainer.optimize = noted("backward", trainer.optimize)  # type: ignore[attr-defined]
    state = trainer.TrainerState(policy, Prompts(), config)
    for _ in trainer.train(policy, reference, build_reward(config.rewards), Prompts(), config, state):
        pass
    return found


def measured_in_a_child(name: str) -> dict[str, int]:
    """The same in a fresh process with a job's environment."""
    environment = job_environment({"policy": {"device": "cpu", "num_threads": 1}}, os.environ)
    command = [sys.executable, "-m", "tests.bench.measured_peaks", "--child", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the measurement of {name} failed: {done.stderr}")
    measured: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return measured


def error_of(name: str) -> float:
    """How far the estimated peak is from the measured one, both beside the bare process; prints both by moment."""
    measured, case = measured_in_a_child(name), CASES[name]
    base = measured.pop("process")
    estimated = {moment: sum(parts.values()) - parts["process"] for moment, parts in estimate(case).by_moment.items()}
    estimated["backward"] = max(estimated["backward"], estimated.pop("optimizer"))
    print(f"{name}: process {base >> 20} MiB")
    for moment, size in measured.items():
        print(f"  {moment:<10} measured {(size - base) >> 20:>6} MiB, estimated {estimated[moment] >> 20:>6} MiB")
    peak = max(measured.values()) - base
    error = max(estimated.values()) / peak - 1
    print(f"  peak       measured {peak >> 20:>6} MiB, estimated {max(estimated.values()) >> 20:>6} MiB: {error:+.0%}")
    return error


def main() -> int:
    """1 where an estimate is off by more than a fifth."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(CASES[sys.argv[2]])))
        return 0
    errors = {name: error_of(name) for name in sys.argv[1:] or SIZES}
    for name, error in errors.items():
        print(f"{name}: {error:+.1%}, wanted within {LARGEST_ERROR:.0%}: ", end="")
        print("met" if abs(error) <= LARGEST_ERROR else "NOT MET")
    return int(any(abs(error) > LARGEST_ERROR for error in errors.values()))


if __name__ == "__main__":
    sys.exit(main())
