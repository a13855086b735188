"""The ablation's table: one row a variant, means over the seeds with intervals, the cost beside them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Student's t, two-sided 95 %, by the number of seeds; beyond ten the normal's value is near enough.
_STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
_HEAD = """## Ablation at equal compute

Each variant changes one thing of the default recipe and has the same compute: passes of the transformer over one
state, forward 1, backward 2 (`tests/results/ablation.py`). So a variant with a cheaper step makes more steps.
*Gain* is tuned minus base on held-out captions, the same captions and seeds; *against candidate 2* is the
difference of gains, paired by seed. With two or more seeds the interval is Student's over the seeds, so it holds
what training's chance does; with one it is the paired bootstrap over captions, which does not. *Re-sampled* is
what the filter drew beyond the counted compute. CPU minutes are those of training, with other work beside it;
they hold what the count of passes leaves out, above all the selection term of the transition's own probability.
The base comes first, the others follow by their gain.
"""


def ablation_section(results: list[dict[str, Any]]) -> str:
    """The section, or nothing without results."""
    by_variant: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_variant.setdefault(result["ablation"], []).append(result)
    if not by_variant:
        return ""
    base = by_variant.get("candidate-2", [])
    lines = [
        _HEAD,
        "| variant | seeds | steps | gain overall | against candidate 2 | gain strict | re-sampled | CPU min |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [_row(runs, base) for runs in sorted(by_variant.values(), key=lambda runs: _place(runs, base))]
    budgets = sorted(
        {(run["budget"], run["num_captions"], run["weights"]) for runs in by_variant.values() for run in runs}
    )
    for budget, num_captions, weights in budgets:
        lines += ["", f"{budget:g} passes a rollout, {num_captions} held-out captions, policy {weights}."]
    return "\n".join([*lines, ""])


def _place(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> tuple[bool, float]:
    """The base first, then by the mean gain, the greatest first."""
    return runs is not base, -float(np.mean([run["scores"]["difference"]["values"]["overall"] for run in runs]))


def _row(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    gains = {key: [run["scores"]["difference"]["values"][key] for run in runs] for key in ("overall", "strict")}
    resampled = np.mean([step.get("filter/resampled_share") or 0.0 for run in runs for step in run["steps"]])
    minutes = np.mean([sum(step["cpu_seconds"] for step in run["steps"]) / 60 for run in runs])
    cells = [
        runs[0]["title"],
        str(len(runs)),
        str(runs[0]["config"]["num_steps"]),
        _with_interval(gains["overall"], runs, "overall"),
        _against(runs, base),
        _with_interval(gains["strict"], runs, "strict"),
        f"{resampled:.0%}",
        f"{minutes:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _with_interval(values: list[float], runs: list[dict[str, Any]], key: str) -> str:
    if len(values) == 1:
        ends = runs[0]["scores"]["difference"]["intervals"].get(key)
        return f"{values[0]:+.3f}" + ("" if ends is None else f" [{ends[0]:+.3f}, {ends[1]:+.3f}]")
    return _over_seeds(values)


def _against(runs: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    """The difference of gains to the base's, over the seeds that both have."""
    of_base = {run["seed"]: run["scores"]["difference"]["values"]["overall"] for run in base}
    differences = [
        run["scores"]["difference"]["values"]["overall"] - of_base[run["seed"]]
        for run in runs
        if run["seed"] in of_base
    ]
    if runs is base or not differences:
        return ""
    return _over_seeds(differences)


def _over_seeds(values: list[float]) -> str:
    """Mean and Student's interval; of one value the value alone."""
    mean = float(np.mean(values))
    if len(values) == 1:
        return f"{mean:+.3f}"
    half = _STUDENT.get(len(values), 1.96) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"
