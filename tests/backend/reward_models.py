"""An exported reward model as a job leaves it, without a job: its report says whatever a test wants."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.reward_report import Calibration, CalibrationBin, PartCounts, RewardModelReport, Share

RUN_ID = "0190f5fe-7c00-7a00-8000-000000000001"
WEIGHTS = b"the weights"


def report_with(accuracy: tuple[float, float, float] = (0.8, 0.7, 0.9), **changes: Any) -> RewardModelReport:
    """A report of 80 held-out pairs."""
    counts = PartCounts(num_prompts=20, num_pairs=80, num_votes=240, num_ties=0)
    value, low, high = accuracy
    bins = tuple(
        CalibrationBin(
            low=0.5 + place / 20,
            high=0.55 + place / 20,
            num_pairs=8 * (place != 3),
            confidence=None if place == 3 else 0.525 + place / 20,
            agreement=None if place == 3 else 0.5 + place / 25,
        )
        for place in range(10)
    )
    values: dict[str, Any] = {
        "is_better_than_chance": low > 0.5,
        "accuracy": Share(value=value, low=low, high=high, num_pairs=80),
        "accuracy_new_raters": Share(value=0.78, low=0.66, high=0.88, num_pairs=60),
        "ceiling": Share(value=0.88, low=0.84, high=0.92, num_pairs=240),
        "model_at_ceiling": Share(value=0.81, low=0.74, high=0.87, num_pairs=240),
        "untuned": Share(value=0.5, low=0.39, high=0.61, num_pairs=80),
        "gain": Share(value=0.3, low=0.17, high=0.43, num_pairs=80),
        "calibration": Calibration(temperature=1.2, bins=bins, expected_error=0.041, log_loss=0.42),
        "best_step": 100,
        "centre": 2.0,
        "learning": counts,
        "choosing": counts,
        "heldout": counts,
        "num_raters": 5,
        "num_heldout_raters": 1,
        "num_simulated_votes": 0,
        "pair_set": "c" * 64,
        "base": "shipped",
        "base_sha256": "d" * 64,
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "config": RewardModelConfig(),
        "versions": {"torch": "2.14.1"},
        "seconds": 80.0,
        "notes": ("Judged with 80 decided pairs of 20 prompts: the intervals are wide.",),
    }
    return RewardModelReport.model_validate(values | changes)


def write_reward(runs_dir: Path, run_id: str, **changes: Any) -> Path:
    """Writes an exported reward model into a run's folder."""
    folder = runs_dir / run_id / "exports" / "reward"
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").write_bytes(WEIGHTS)
    (folder / "report.json").write_text(report_with(**changes).model_dump_json())
    return folder
