"""The pretrain job: both stages as one count of steps, exact resume across them, and a policy that loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.artifacts import RunFolder
from backend.schemas.config import PretrainConfig
from backend.schemas.event import Body, CheckpointSaved, JobStarted, SamplesMade, ScoreMeasured, StepFinished
from backend.schemas.run import RunStatus
from tests.worker.jobs.driving import drive
from worker.jobs import pretrain, run_job
from worker.jobs.checkpoints import read_checkpoint
from worker.showo.loading import load_policy

pytestmark = pytest.mark.slow

NUM_TOKENIZER_STEPS, NUM_TRANSFORMER_STEPS = 4, 4


@pytest.fixture(autouse=True)
def _small_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "_NUM_SCORED", 6)
    monkeypatch.setattr(pretrain, "_NUM_SCORED_AT_LAST", 12)


@pytest.fixture
def config() -> PretrainConfig:
    values: dict[str, Any] = {
        "kind": "pretrain",
        "policy": {"device": "cpu", "num_threads": 1},
        "tokenizer": {
            "num_steps": NUM_TOKENIZER_STEPS,
            "num_encoder_steps": 2,
            "batch_size": 2,
            "num_pictures": 8,
            "codebook_bits": 4,
        },
        "transformer": {
            "num_steps": NUM_TRANSFORMER_STEPS,
            "batch_size": 2,
            "num_pictures": 8,
            "hidden_size": 32,
            "num_layers": 1,
            "num_heads": 2,
        },
        "checkpoints": {"every_num_steps": 3, "num_kept": 9},
        "evaluation_sampling": {"num_unmasking_steps": 2},
    }
    return PretrainConfig.model_validate(values)


def steps(bodies: list[Body]) -> dict[int, Any]:
    return {body.step: body.metrics for body in bodies if isinstance(body, StepFinished)}


def test_a_pretraining_cut_in_either_stage_resumes_to_the_same_bits(config: PretrainConfig, tmp_path: Path) -> None:
    whole_folder = RunFolder(tmp_path / "whole")
    whole, outcome = drive(run_job(config, whole_folder))
    assert outcome is RunStatus.SUCCEEDED
    assert list(steps(whole)) == [1, 2, 3, 4, 5, 6, 7, 8]
    saved = [body.step for body in whole if isinstance(body, CheckpointSaved)]
    assert saved == [3, 4, 6, 8]
    for place, body in enumerate(whole):
        if not isinstance(body, StepFinished) or body.step not in (4, 7):
            continue
        folder = RunFolder(tmp_path / f"cut-{body.step}")
        first, _ = drive(run_job(config, folder), stop_after=place + 1)
        second, outcome = drive(run_job(config, folder))
        assert outcome is RunStatus.SUCCEEDED
        started = second[0]
        assert isinstance(started, JobStarted)
        assert (started.from_step, started.is_state_equal) == ({4: 3, 7: 6}[body.step], True)
        assert steps(first) | steps(second) == steps(whole)
        assert read_checkpoint(folder, 8).written_hash == read_checkpoint(whole_folder, 8).written_hash
        exports = [each.read("exports/policy/pytorch_model.safetensors") for each in (folder, whole_folder)]
        assert exports[0] == exports[1]


def test_the_policy_loads_and_progress_is_seen(config: PretrainConfig, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    bodies, _ = drive(run_job(config, folder))
    assert load_policy(folder.path("exports/policy")).codebook_size == 16
    made = [body for body in bodies if isinstance(body, SamplesMade)]
    assert [body.groups[0].policy for body in made] == ["tokenizer", "tokenizer", "policy", "policy"]
    for body in made:
        for group in body.groups:
            assert all(folder.path(sample.image_path).is_file() for sample in group.samples)
    scores = [body for body in bodies if isinstance(body, ScoreMeasured)]
    assert [(body.step, body.num_prompts) for body in scores] == [(6, 6), (8, 6), (8, 12)]
