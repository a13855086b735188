"""The ablation command: equal compute, resumable, a true table; on a two-step setting of the shipped policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.schemas.effects import settings_without_effect
from tests.results.ablation import VARIANTS, Variant, budget_of, main, state_passes
from tests.results.ablation_report import ablation_section

BY_NAME = {variant.name: variant for variant in VARIANTS}


def planned(name: str) -> tuple[float, int]:
    config = BY_NAME[name].config("tiny-shapes", budget_of("tiny-shapes", 1.0), 7, 1)
    return state_passes(config), config.num_steps


@pytest.mark.parametrize(
    ("name", "passes", "num_steps"),
    [
        # 8 unmasking steps, all in the loss: 8 + 3 * 8 = 32 passes, 40 times.
        ("candidate-2", 32, 40),
        ("kl", 40, 32),
        ("random-steps", 8 + 9, 75),
        ("information", 8 + 9, 75),
        ("no-unmasking-reduction", 64, 20),
        # 4 re-maskings: once for the old log-probs, then forward and backward.
        ("forward-process", 8 + 4 + 12, 53),
        ("forward-process-epochs", 8 + 4 + 36, 27),
    ],
)
def test_compute_is_counted_and_shared_out_by_hand(name: str, passes: float, num_steps: int) -> None:
    assert planned(name) == (passes, num_steps)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_is_valid_uses_all_its_settings_and_costs_the_same(variant: Variant) -> None:
    budget = budget_of("tiny-shapes", 1.0)
    config = variant.config("tiny-shapes", budget, 7, 1)
    assert state_passes(config) * config.num_steps == pytest.approx(budget, rel=0.02)
    without_effect = list(settings_without_effect(config))
    assert [text for text in without_effect if not text.startswith("grpo.filter")] == []
    base = VARIANTS[0].config("tiny-shapes", budget, 7, 1)
    differing = {
        key for key in ("rewards", "rollout", "evaluation_sampling", "prompts", "policy", "seed")
        if getattr(config, key) != getattr(base, key)
    }  # fmt: skip
    assert differing == set(), "one thing is changed, and the rest is the same"


def result(name: str, seed: int, overall: float, strict: float) -> dict[str, Any]:
    return {
        "ablation": name,
        "title": f"the {name}",
        "seed": seed,
        "budget": 640.0,
        "num_captions": 540,
        "weights": "0123456789ab",
        "config": {"num_steps": 5},
        "scores": {
            "difference": {
                "values": {"overall": overall, "strict": strict},
                "intervals": {"overall": [overall - 0.1, overall + 0.1], "strict": [strict - 0.2, strict + 0.2]},
            }
        },
        "steps": [{"cpu_seconds": 30.0, "filter/resampled_share": 0.5}, {"cpu_seconds": 30.0}],
    }


def test_the_table_by_hand() -> None:
    runs = [result("candidate-2", seed, gain, 0.2) for seed, gain in ((7, 0.1), (8, 0.2), (9, 0.3))]
    runs += [result("kl", 7, 0.15, 0.1)]
    runs += [result("win-rate", seed, gain, 0.2) for seed, gain in ((7, 0.2), (8, 0.3))]
    table = ablation_section(runs).splitlines()
    # Standard deviation .1 over three seeds: 4.30 * .1 / sqrt(3) = .248.
    assert "| the candidate-2 | 3 | 5 | +0.200 [-0.048, +0.448] |  | +0.200 [+0.200, +0.200] | 25% | 1.0 |" in table
    assert "| the kl | 1 | 5 | +0.150 [+0.050, +0.250] | +0.050 | +0.100 [-0.100, +0.300] | 25% | 1.0 |" in table
    assert any(line.startswith("| the win-rate | 2 ") and "| +0.100 [+0.100, +0.100] |" in line for line in table)
    assert table[-1] == "640 passes a rollout, 540 held-out captions, policy 0123456789ab."
    assert ablation_section([]) == ""


def test_the_base_comes_first_and_the_others_by_their_gain() -> None:
    runs = [result(name, 7, gain, 0.2) for name, gain in (("kl", 0.1), ("win-rate", 0.4), ("candidate-2", 0.2))]
    rows = [line.split(" | ")[0] for line in ablation_section(runs).splitlines() if line.startswith("| the ")]
    assert rows == ["| the candidate-2", "| the win-rate", "| the kl"]


@pytest.mark.slow
def test_a_stopped_ablation_goes_on_and_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    arguments = ["--recipe", "first-look", "--share", "0.1", "--captions", "6", "--seeds", "7", "--threads", "1"]
    arguments += ["--folder", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    main([*arguments, "--variants", "candidate-2"])
    first = tmp_path / "results" / "ablation-candidate-2-seed-7.json"
    written = first.stat().st_mtime_ns
    main([*arguments, "--variants", "candidate-2", "forward-process"])
    assert first.stat().st_mtime_ns == written
    found = [json.loads(path.read_text()) for path in sorted((tmp_path / "results").iterdir())]
    assert [each["ablation"] for each in found] == ["candidate-2", "forward-process"]
    for each in found:
        assert each["config"]["num_steps"] == len(each["steps"]) > 0
        assert each["state_passes"] == pytest.approx(each["budget"], rel=0.3)
        assert set(each["scores"]) == {"policy", "base", "difference"}
        assert all(step["cpu_seconds"] > 0 for step in each["steps"])
    assert ablation_section(found).count("\n| ") == 3
