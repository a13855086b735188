"""The reward_model job: what it learns, cut and resumed, what it exports, and how a run may use it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from backend.artifacts import RunFolder
from backend.reward_reports import read_report
from backend.schemas.event import Alarm, Body, CheckpointSaved, JobStarted, ScoreMeasured, StepFinished
from backend.schemas.reward import RewardConfig, RewardName
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.run import RequestFlags, RunStatus
from tests.worker.jobs.driving import drive
from tests.worker.preference_learning.votes import write_pair_set
from worker.jobs import run_job
from worker.jobs.lines import line_of
from worker.jobs.reward_sources import with_folders
from worker.rewards.build import build_reward
from worker.rewards.clip_score import SHIPPED_CLIP

REWARD = "exports/reward"
WEIGHTS = f"{REWARD}/open_clip_model.safetensors"


def config_for(sha256: str, **changes: Any) -> RewardModelConfig:
    values: dict[str, Any] = {
        "pairs": {"source": sha256, "heldout_share": 0.3},
        "policy": {"num_threads": 1, "device": "cpu"},
        "num_steps": 6,
        "tuning": {"batch_size": 8, "num_warmup_steps": 1, "learning_rate": 3e-4},
        "probe_every": 2,
        "checkpoints": {"every_num_steps": 2, "num_kept": 1},
    }
    return RewardModelConfig.model_validate(values | changes)


@pytest.fixture
def sha256(tmp_path: Path) -> str:
    return write_pair_set(tmp_path)


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[Body]]:
    """The finished run `taste`, whose model is better than chance, and its events."""
    data_dir = tmp_path_factory.mktemp("proven")
    sha256 = write_pair_set(data_dir, num_prompts=40, pairs_per_prompt=4, sharpness=150.0)
    folder = RunFolder(data_dir / "runs" / "taste")
    config = config_for(sha256, num_steps=40, probe_every=10, tuning={"batch_size": 24, "learning_rate": 3e-4})
    return folder, drive(run_job(config, folder))[0]


def pause_at_step_3(body: Body) -> RequestFlags:
    return RequestFlags(is_pause_requested=isinstance(body, StepFinished | CheckpointSaved) and body.step == 3)


def test_a_paused_run_goes_on_to_the_same_bits_and_the_same_report(tmp_path: Path, sha256: str) -> None:
    config = config_for(sha256)
    whole, cut = RunFolder(tmp_path / "runs" / "whole"), RunFolder(tmp_path / "runs" / "cut")
    bodies, outcome = drive(run_job(config, whole))
    assert outcome is RunStatus.SUCCEEDED
    assert [body.step for body in bodies if isinstance(body, CheckpointSaved)] == [2, 4, 6]
    assert drive(run_job(config, cut), pause_at_step_3)[1] is RunStatus.PAUSED
    resumed, outcome = drive(run_job(config, cut))
    assert outcome is RunStatus.SUCCEEDED
    assert isinstance(resumed[0], JobStarted)
    assert (resumed[0].from_step, resumed[0].is_state_equal) == (3, True)
    one, other = (load_file(each.path(WEIGHTS)) for each in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    reports = [read_report(each.path(REWARD)).model_dump(exclude={"seconds"}) for each in (whole, cut)]
    assert reports[0] == reports[1]
    (score,) = [body for body in bodies if isinstance(body, ScoreMeasured)]
    assert "reward-model, reward: accuracy" in line_of(score)


def test_micro_batches_make_the_same_loss_and_gradient(tmp_path: Path, sha256: str) -> None:
    steps = []
    for num_parts in (1, 3):
        folder = RunFolder(tmp_path / "runs" / f"parts-{num_parts}")
        tuning = {"batch_size": 8, "num_warmup_steps": 0, "num_micro_batches": num_parts}
        bodies, _ = drive(run_job(config_for(sha256, num_steps=1, probe_every=1, tuning=tuning), folder))
        steps.append(next(body.metrics for body in bodies if isinstance(body, StepFinished)))
    for name in ("loss", "accuracy", "gradient_norm"):
        assert steps[0][name] == pytest.approx(steps[1][name], rel=1e-4)


def test_the_taste_of_the_raters_is_recovered_and_a_run_may_train_on_it(proven: tuple[RunFolder, list[Body]]) -> None:
    folder, bodies = proven
    report = read_report(folder.path(REWARD))
    assert report.refusal is None
    assert report.accuracy is not None
    assert report.ceiling is not None
    assert report.gain is not None
    assert report.accuracy.low > 0.5
    assert report.gain.low > 0
    assert report.best_step > 0
    assert report.accuracy_new_raters is not None
    assert report.num_simulated_votes == 480
    assert not [body for body in bodies if isinstance(body, Alarm)]

    learned = RewardConfig(name=RewardName.LEARNED, source="run:taste")
    reward = build_reward(with_folders([learned], RunFolder(folder.root.parent / "other")))
    # A blue ground is preferred to a red one.
    pictures = torch.full((2, 3, 64, 64), 0.2)
    pictures[0, 2], pictures[1, 0] = 0.6, 0.6
    blue, red = reward(pictures, ["a photo of a circle"] * 2).breakdown["learned"].tolist()
    assert blue > red
    with pytest.raises(ValueError, match=r"does not know \['dog'\]"):
        reward(pictures, ["a dog"] * 2)


def test_a_model_of_coin_tossers_is_exported_warned_of_and_refused(tmp_path: Path) -> None:
    sha256 = write_pair_set(tmp_path, num_prompts=20, sharpness=0.0)
    folder = RunFolder(tmp_path / "runs" / "coins")
    bodies, outcome = drive(run_job(config_for(sha256), folder))
    assert outcome is RunStatus.SUCCEEDED
    report = read_report(folder.path(REWARD))
    assert not report.is_better_than_chance
    (alarm,) = [body for body in bodies if isinstance(body, Alarm)]
    assert alarm.code == "unproven_reward"
    learned = RewardConfig(name=RewardName.LEARNED, source="run:coins")
    with pytest.raises(ValueError, match=r"is refused: its held-out accuracy is .* no better than chance"):
        with_folders([learned], RunFolder(tmp_path / "runs" / "other"))


def test_changed_weights_are_refused(proven: tuple[RunFolder, list[Body]], tmp_path: Path) -> None:
    copied = RunFolder(tmp_path / "runs" / "copied")
    shutil.copytree(proven[0].path(REWARD), copied.path(REWARD))
    learned = RewardConfig(name=RewardName.LEARNED, source="run:copied")
    assert with_folders([learned], RunFolder(tmp_path / "runs" / "o"))[0].source == str(copied.path(REWARD))
    copied.write(WEIGHTS, (SHIPPED_CLIP / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="is not what its report speaks of"):
        with_folders([learned], RunFolder(tmp_path / "runs" / "o"))


def test_an_earlier_reward_model_can_be_tuned_on(tmp_path: Path, sha256: str) -> None:
    first, second = RunFolder(tmp_path / "runs" / "first"), RunFolder(tmp_path / "runs" / "second")
    drive(run_job(config_for(sha256), first))
    drive(run_job(config_for(sha256, base="run:first"), second))
    report = read_report(second.path(REWARD))
    assert report.base_sha256 == read_report(first.path(REWARD)).weights_sha256
    assert json.loads(second.read(f"{REWARD}/open_clip_config.json"))["known_words"]


def test_what_cannot_be_learned_from_is_refused_with_the_cure(tmp_path: Path, sha256: str) -> None:
    folder = RunFolder(tmp_path / "runs" / "refused")
    for changes, words in (
        ({"pairs": {}}, r"pairs\.source is empty: set it to the SHA-256"),
        ({"pairs": {"source": "0" * 64}}, "cannot be read"),
        ({"base": "run:nobody"}, "finds no folder"),
    ):
        with pytest.raises(ValueError, match=words):
            next(run_job(config_for(sha256, **changes), folder))
