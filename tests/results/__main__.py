"""Trains every trial with every seed, evaluates it against the base, and writes docs/results.md from what came out.

`python -m tests.results --trials default --seeds 7 8 9` resumes what was stopped; finished parts are not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from backend.artifacts import RunFolder
from backend.schemas.config import EvaluateConfig, TrainConfig
from backend.schemas.event import ScoreMeasured, StepFinished
from backend.schemas.run import RequestFlags
from tests.results.report import RESULTS_DIR, write_report
from tests.results.trials import TRIALS, Trial
from worker.jobs import run_job
from worker.jobs.prompts import heldout_captions
from worker.shapes.captions import all_captions

_SAMPLES_PER_PROMPT = 2


def main() -> None:
    """Runs what is asked for and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", nargs="*", default=[trial.name for trial in TRIALS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[7, 8, 9])
    parser.add_argument("--folder", type=Path, default=Path("data/results"), help="where the runs lie")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = all cores")
    parser.add_argument("--report-only", action="store_true")
    options = parser.parse_args()
    chosen = [trial for trial in TRIALS if trial.name in options.trials and not options.report_only]
    # All seeds reach a mark before any goes on to the next: what is stopped early is still comparable.
    for number in range(max((len(trial.marks) for trial in chosen), default=0)):
        for trial in chosen:
            for seed in options.seeds:
                if number < len(trial.marks):
                    _run(trial, seed, trial.steps[number], options)
                    write_report()
    write_report()


def _run(trial: Trial, seed: int, step: int, options: argparse.Namespace) -> None:
    """Trains one trial with one seed up to a mark and evaluates it there, where that is not done yet."""
    name = f"{trial.name}-seed-{seed}"
    path = RESULTS_DIR / f"{name}.json"
    earlier = json.loads(path.read_text()) if path.exists() else {}
    marks = earlier.get("marks", {})
    if str(step) in marks:
        return
    config, folder = trial.config(seed, step, options.threads), options.folder
    steps = _train(config, folder / name)
    marks[str(step)] = _evaluate(config, f"run:{name}@{step}", folder / f"{name}-at-{step}")
    result = {
        "trial": trial.name,
        "seed": seed,
        # What an earlier mark was trained with stays written down, whatever the recipe has become since.
        "config": earlier.get("config", config.model_dump(mode="json")),
        "marks": marks,
        "steps": steps,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def _train(config: TrainConfig, folder: Path) -> list[dict[str, Any]]:
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
            kept = ("reward/mean", "reward/strict", "entropy", "gradient_norm", "filter/rate")
            metrics = {key: event.metrics.get(key) for key in kept}
            line = {"step": event.step, "seconds": event.seconds, "cpu_seconds": now - cpu, **metrics}
            with notes.open("a") as file:
                file.write(json.dumps(line) + "\n")
            cpu = now
            if event.step % 10 == 0:
                print(f"{folder.name} {event.step}/{event.num_steps} reward {metrics['reward/mean']:.3f}", flush=True)
    by_step = {line["step"]: line for line in map(json.loads, notes.read_text().splitlines())}
    return [by_step[step] for step in sorted(by_step)]


def _evaluate(config: TrainConfig, source: str, folder: Path) -> dict[str, Any]:
    """Mini-GenEval of the policy and of the base, on every held-out caption, the same seeds for both."""
    evaluation = EvaluateConfig.model_validate(
        {
            "policy": {"source": source, "num_threads": config.policy.num_threads},
            "base": {"source": config.policy.source},
            "num_prompts": len(heldout_captions(len(all_captions("heldout")), "num_prompts")),
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


if __name__ == "__main__":
    main()
