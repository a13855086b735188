"""Trains every trial with every seed, evaluates it against the base, and writes docs/results.md from what came out.

`python -m tests.results --trials default --seeds 7 8 9` resumes what was stopped; finished parts are not run again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.results.report import RESULTS_DIR, shipped_weights, write_report
from tests.results.running import evaluate_run, train_run
from tests.results.trials import TRIALS, Trial


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
    path, weights = RESULTS_DIR / f"{name}.json", shipped_weights()
    earlier = json.loads(path.read_text()) if path.exists() else {}
    if earlier.get("weights") != weights:
        earlier = {}  # What other weights gave is no part of this result, and no start for it.
    marks = earlier.get("marks", {})
    if str(step) in marks:
        return
    config, folder = trial.config(seed, step, options.threads), options.folder / weights
    training = f"{trial.trained_as or trial.name}-seed-{seed}"
    steps = train_run(config, folder / training)
    marks[str(step)] = evaluate_run(config, f"run:{training}@{step}", folder / f"{name}-at-{step}")
    result = {
        "trial": trial.name,
        "seed": seed,
        "weights": weights,
        # What an earlier mark was trained with stays written down, whatever the recipe has become since.
        "config": earlier.get("config", config.model_dump(mode="json")),
        "marks": marks,
        "steps": steps,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
