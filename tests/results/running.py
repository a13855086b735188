"""Runs one training and one evaluation of the experiments, in process, each resumable where it was stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig
from backend.schemas.event import ScoreMeasured, StepFinished
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS
from backend.schemas.run import RequestFlags
from worker.jobs import run_job

_SAMPLES_PER_PROMPT = 2


def train_run(config: TrainConfig, folder: Path) -> list[dict[str, Any]]:
    """Trains, or goes on; gives each step's reward and cost, which are noted in the folder as they come."""
    notes = folder.with_suffix(".steps.jsonl")
    notes.parent.mkdir(parents=True, exist_ok=True)
    job = run_job(config, RunFolder(folder))
    flags: RequestFlags | None = None
    cpu = time.process_time()
    while True:
        try:
            event = next(job) if flags is None else job.send(flags)
        except StopIteration:
            break
        flags = RequestFlags()
        if isinstance(event, StepFinished):
            now = time.process_time()
            kept = ("reward/mean", "reward/strict", "entropy", "gradient_norm", "filter/rate", "filter/resampled_share")
            metrics = {key: event.metrics.get(key) for key in kept}
            line = {"step": event.step, "seconds": event.seconds, "cpu_seconds": now - cpu, **metrics}
            with notes.open("a") as file:
                file.write(json.dumps(line) + "\n")
            cpu = now
            if event.step % 10 == 0:
                print(f"{folder.name} {event.step}/{event.num_steps} reward {metrics['reward/mean']:.3f}", flush=True)
    by_step = {line["step"]: line for line in map(json.loads, notes.read_text().splitlines())}
    return [by_step[step] for step in sorted(by_step)]


def evaluate_run(
    config: TrainConfig, source: str, folder: Path, num_captions: int = NUM_HELDOUT_CAPTIONS
) -> dict[str, Any]:
    """Mini-GenEval of the policy and of the base, on held-out captions, the same seeds for both."""
    evaluation = EvaluateConfig.model_validate(
        {
            "policy": {"source": source, "num_threads": config.policy.num_threads},
            "base": {"source": config.policy.source},
            "num_prompts": num_captions,
            "samples_per_prompt": _SAMPLES_PER_PROMPT,
            "sampling": config.evaluation_sampling.model_dump(mode="json"),
            "seed": 1,
        }
    )
    job = run_job(evaluation, RunFolder(folder))
    scores: dict[str, Any] = {}
    flags: RequestFlags | None = None
    while True:
        try:
            event = next(job) if flags is None else job.send(flags)
        except StopIteration:
            return scores
        flags = RequestFlags()
        if isinstance(event, ScoreMeasured):
            scores[event.policy] = {"values": event.values, "intervals": event.intervals}
