"""Writes docs/results.md from the figures in docs/results/*.json; knows no model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.results.ablation_report import ablation_section
from tests.results.closed_loop_report import closed_loop_section
from tests.results.trials import TRIALS
from worker.showo.loading import SHIPPED_WEIGHTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS_DIR = DOCS / "results"
TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
_HEAD = """# Results

Written by `python -m tests.results` from `docs/results/*.json`; nothing here is typed by hand.
Held-out mini-GenEval: 540 distinct captions in six tasks, two seeds each, the same seeds for base and tuned, at the
recipe's evaluation settings (16 unmasking steps, temperature 1, guidance 0) unless a title says otherwise. Intervals
are 95 %, by paired bootstrap over captions; these were drawn across tasks, which makes them up to a fifth wider than
within tasks, as evaluations draw now (docs/evaluation.md). *Strict* also asks that nothing extra is in the picture.
Time is that of training steps alone, on a machine whose two cores were shared with other work: half the CPU seconds is
what two cores would take at best.
"""


def write_report() -> None:
    """Writes docs/results.md."""
    results = [json.loads(path.read_text()) for path in sorted(RESULTS_DIR.glob("*.json"))]
    parts = [_HEAD]
    for trial in TRIALS:
        own = [result for result in results if result.get("trial") == trial.name]
        if own:
            parts.append(_section(trial.title, own))
    if ablation := ablation_section([result for result in results if "ablation" in result]):
        parts.append(ablation)
    if loop := closed_loop_section(results):
        parts.append(loop)
    (DOCS / "results.md").write_text("\n".join(parts))


def shipped_weights() -> str:
    """The first digits of the SHA-256 of the weights that ship now; a result belongs to those it was measured on."""
    return hashlib.sha256((SHIPPED_WEIGHTS / "pytorch_model.safetensors").read_bytes()).hexdigest()[:12]


def _section(title: str, results: list[dict[str, Any]]) -> str:
    lines = [f"## {title[0].upper()}{title[1:]}", ""]
    if others := sorted({result["weights"] for result in results} - {shipped_weights()}):
        lines += [
            f"Measured on other weights than those that ship now ({', '.join(others)}): compare within the row.",
            "",
        ]
    lines += ["| seed | steps | seconds | CPU s / 2 | overall | difference | strict | difference |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [_row(result, step) for result in results for step in sorted(result["marks"], key=int)]
    lines += ["", "| seed | steps | " + " | ".join(task.replace("_", " ") for task in TASKS) + " |"]
    lines += ["|---|---|" + "---|" * len(TASKS)]
    lines += [_task_row(result, step) for result in results for step in sorted(result["marks"], key=int)]
    if len(results) > 1:
        lines += ["", *_means(results)]
    return "\n".join([*lines, ""])


def _row(result: dict[str, Any], step: str) -> str:
    done = [line for line in result["steps"] if line["step"] <= int(step)]
    seconds, cpu = (sum(line[key] for line in done) for key in ("seconds", "cpu_seconds"))
    cells = [str(result["seed"]), step, f"{seconds:.0f}", f"{cpu / 2:.0f}"]
    for key in ("overall", "strict"):
        base, tuned = (result["marks"][step][who]["values"][key] for who in ("base", "policy"))
        cells += [f"{base:.3f} → {tuned:.3f}", _difference(result["marks"][step]["difference"], key)]
    return "| " + " | ".join(cells) + " |"


def _difference(scores: dict[str, Any], key: str) -> str:
    low, high = scores["intervals"][key]
    return f"{scores['values'][key]:+.3f} [{low:+.3f}, {high:+.3f}]"


def _task_row(result: dict[str, Any], step: str) -> str:
    marks = result["marks"][step]
    values = [(marks["base"]["values"][task], marks["policy"]["values"][task]) for task in TASKS]
    cells = [f"{base:.2f} → {tuned:.2f}" for base, tuned in values]
    return f"| {result['seed']} | {step} | " + " | ".join(cells) + " |"


def _means(results: list[dict[str, Any]]) -> list[str]:
    """Mean and standard deviation over the seeds, by mark; some seeds may not have come as far yet."""
    lines = []
    for step in sorted(results[0]["marks"], key=int):
        there = [result for result in results if step in result["marks"]]
        if len(there) < 2:
            continue
        parts = []
        for key in ("overall", "strict"):
            values = np.array([result["marks"][step]["difference"]["values"][key] for result in there])
            parts.append(f"{key} {values.mean():+.3f} (standard deviation {values.std(ddof=1):.3f})")
        lines.append(f"After {step} steps, mean difference over {len(there)} seeds: {', '.join(parts)}.")
    return lines
