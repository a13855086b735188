"""Plays a job's runner in process, and small configurations, so that a whole job takes a second or two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from backend.schemas.config import TrainConfig
from backend.schemas.event import Body
from backend.schemas.run import RequestFlags, RunStatus
from worker.jobs.protocol import Job
from worker.shapes.captions import vocabulary
from worker.showo.loading import save_policy
from worker.showo.tiny import tiny_policy

WALL_TIMES = ("seconds/", "throughput/")


def save_tiny_policy(folder: Path) -> Path:
    """A policy of the small world's words and picture size, with random weights."""
    torch.set_num_threads(1)
    save_policy(tiny_policy(grid_size=8, words=vocabulary()), folder)
    return folder


def tiny_train_config(policy_folder: Path, **changes: Any) -> TrainConfig:
    """Six steps of two groups of three, with a probe, an average and checkpoints."""
    values: dict[str, Any] = {
        "kind": "train",
        "policy": {"source": str(policy_folder), "num_threads": 1, "device": "cpu"},
        "num_steps": 6,
        "rollout": {"num_prompts": 2, "group_size": 3},
        "rewards": [{"name": "jpeg_size"}],
        "sampling": {"num_unmasking_steps": 3},
        "evaluation_sampling": {"num_unmasking_steps": 3},
        "grpo": {"transition": "candidate_2", "ratio": "mean"},
        "optimizer": {"learning_rate": 1e-3, "ema_decay": 0.5},
        "checkpoints": {"every_num_steps": 2, "num_kept": 2},
        "probe": {"every_num_steps": 3, "num_prompts": 6},
    }
    return TrainConfig.model_validate(values | changes)


def drive(
    job: Job, ask: Callable[[Body], RequestFlags] | None = None, stop_after: int | None = None
) -> tuple[list[Body], RunStatus | None]:
    """Plays the runner: replies to every event with the flags that `ask` gives; None as outcome when it was cut off."""
    bodies: list[Body] = []
    try:
        body = next(job)
        while True:
            bodies.append(body)
            if stop_after is not None and len(bodies) >= stop_after:
                job.close()
                return bodies, None
            body = job.send(ask(body) if ask else RequestFlags())
    except StopIteration as end:
        return bodies, end.value
