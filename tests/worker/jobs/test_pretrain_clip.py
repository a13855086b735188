"""The pretrain job of a tiny CLIP, cut and resumed, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from backend.artifacts import RunFolder
from backend.schemas.config import PretrainConfig
from backend.schemas.event import Body, CheckpointSaved, JobStarted, Log, ScoreMeasured, StepFinished
from backend.schemas.reward import RewardConfig, RewardName
from backend.schemas.run import RequestFlags, RunStatus
from tests.worker.jobs.driving import drive
from worker.jobs import pretrain_clip
from worker.jobs.lines import line_of
from worker.jobs.pretrain import pretrain_job
from worker.rewards.build import build_reward


@pytest.fixture
def config(policy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    monkeypatch.setattr(pretrain_clip, "_NUM_CAPTIONS", 12)
    monkeypatch.setattr(pretrain_clip, "_NUM_PROMPTS", 6)
    monkeypatch.setattr(pretrain_clip, "_NUM_PICTURES", 2)
    values = {
        "kind": "pretrain",
        "policy": {"source": str(policy_folder), "num_threads": 1},
        "clip": {"num_steps": 4, "batch_size": 2, "width": 32, "embed_size": 16, "num_layers": 1, "num_text_layers": 1},
        "checkpoints": {"every_num_steps": 2, "num_kept": 1},
        "evaluation_sampling": {"num_unmasking_steps": 2},
    }
    return PretrainConfig.model_validate(values)


def pause_at_step_3(body: Body) -> RequestFlags:
    return RequestFlags(is_pause_requested=isinstance(body, StepFinished | CheckpointSaved) and body.step == 3)


def test_a_paused_run_goes_on_to_the_same_bits_and_exports_a_reward(config: PretrainConfig, tmp_path: Path) -> None:
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    bodies, outcome = drive(pretrain_job(config, whole))
    assert outcome is RunStatus.SUCCEEDED
    assert [body.step for body in bodies if isinstance(body, CheckpointSaved)] == [2, 4]
    assert drive(pretrain_job(config, cut), pause_at_step_3)[1] is RunStatus.PAUSED
    resumed, outcome = drive(pretrain_job(config, cut))
    assert outcome is RunStatus.SUCCEEDED
    assert isinstance(resumed[0], JobStarted)
    assert (resumed[0].from_step, resumed[0].is_state_equal) == (3, True)
    one, other = (load_file(each.path("exports/clip/open_clip_model.safetensors")) for each in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)

    # A random policy may make no right picture at all, and then there is no pair of them to rank.
    told = bodies[-1]
    assert isinstance(told, ScoreMeasured | Log)
    assert "clip-ranking" in line_of(told) or "no pair" in line_of(told)
    assert json.loads(whole.read("exports/clip/ranking.json"))["captions"]["num_pairs"] > 12
    reward = build_reward([RewardConfig(name=RewardName.CLIP, source=str(whole.path("exports/clip")))])
    rewards = reward(torch.rand(2, 3, 64, 64), ["a photo of a circle", "a photo of two stars"])
    assert rewards.total.abs().max() <= 1


def test_settings_of_stages_that_are_not_run_are_refused() -> None:
    with pytest.raises(ValidationError, match="clip is set, so tokenizer and transformer have no effect"):
        PretrainConfig.model_validate({"clip": {}, "tokenizer": {"num_steps": 10}})
