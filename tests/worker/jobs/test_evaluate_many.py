"""Evaluations of many policies: every picture is kept, none depends on its batch, and each policy meets the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.artifacts import RunFolder
from backend.schemas.event import Body, Log, SamplesMade, ScoreMeasured, StepFinished
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord
from tests.worker.jobs.driving import drive
from worker.jobs import run_job


def config_of(policy_folder: Path, **changes: Any) -> EvaluateConfig:
    values: dict[str, Any] = {
        "kind": "evaluate",
        "policy": {"source": str(policy_folder), "num_threads": 1, "device": "cpu"},
        "num_prompts": 12,
        "samples_per_prompt": 2,
        "batch_size": 8,
        "num_replayed": 3,
        "sampling": {"num_unmasking_steps": 2},
    }
    return EvaluateConfig.model_validate(values | changes)


def groups(bodies: list[Body]) -> list[GroupRecord]:
    return [group for body in bodies if isinstance(body, SamplesMade) for group in body.groups]


def scores(bodies: list[Body]) -> dict[str, ScoreMeasured]:
    return {body.policy: body for body in bodies if isinstance(body, ScoreMeasured)}


def hashes(bodies: list[Body]) -> dict[tuple[str, int], list[tuple[int, str]]]:
    return {
        (group.policy, group.index): [(sample.seed, sample.image_sha256) for sample in group.samples]
        for group in groups(bodies)
    }


def test_every_picture_is_kept_but_only_the_first_prompts_can_be_replayed(
    policy_folder: Path, folder: RunFolder
) -> None:
    bodies, _ = drive(run_job(config_of(policy_folder), folder))
    made = groups(bodies)
    assert [group.index for group in made] == list(range(12))
    assert [group.trajectory_path is not None for group in made] == [True] * 3 + [False] * 9
    assert all(folder.path(sample.image_path).is_file() for group in made for sample in group.samples)
    assert len(list(folder.path("trajectories").rglob("*.npz"))) == 3


@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_a_picture_follows_from_policy_prompt_seed_and_settings_whatever_its_batch(
    policy_folder: Path, tmp_path: Path, guidance: float
) -> None:
    codes, pictures = [], []
    for batch_size in (2, 10, 128):
        sampling = {"num_unmasking_steps": 4, "guidance_scale": guidance}
        config = config_of(policy_folder, batch_size=batch_size, sampling=sampling, num_replayed=12)
        own = RunFolder(tmp_path / str(batch_size))
        made = groups(drive(run_job(config, own))[0])
        codes.append(np.stack([np.load(own.path(group.trajectory_path or ""))["codes"] for group in made]))
        files = [own.path(sample.image_path) for group in made for sample in group.samples]
        pictures.append(np.stack([np.asarray(Image.open(path)) for path in files]).astype(int))
    for others in (1, 2):
        np.testing.assert_array_equal(codes[others], codes[0])
        # The tokenizer's convolutions round otherwise in batches of another size: by one of 255 levels at most.
        assert np.abs(pictures[others] - pictures[0]).max() <= 1
    assert len(np.unique(codes[0].reshape(24, -1), axis=0)) == 24


def test_each_further_policy_is_compared_with_the_first_on_the_same_seeds(
    policy_folder: Path, folder: RunFolder
) -> None:
    others = [{"label": "again", "source": str(policy_folder)}, {"label": "shipped", "source": "shipped"}]
    bodies, outcome = drive(run_job(config_of(policy_folder, policies=others), folder))
    assert outcome is RunStatus.SUCCEEDED
    assert list(scores(bodies)) == ["policy", "again", "shipped", "difference:again", "difference:shipped"]
    made = hashes(bodies)
    assert all(made["policy", row] == made["again", row] for row in range(12))
    assert all(
        [seed for seed, _ in made["policy", row]] == [seed for seed, _ in made["shipped", row]] for row in range(12)
    )
    assert scores(bodies)["difference:again"].values["overall"] == 0
    shipped, policy = scores(bodies)["shipped"].values["overall"], scores(bodies)["policy"].values["overall"]
    assert shipped is not None
    assert policy is not None
    assert scores(bodies)["difference:shipped"].values["overall"] == pytest.approx(shipped - policy)


def test_own_prompts_are_scored_by_the_rewards_that_know_them(policy_folder: Path, folder: RunFolder) -> None:
    prompts = {"texts": ["two squares", "a cat on a mat"]}
    config = config_of(policy_folder, prompts=prompts, rewards=[{"name": "jpeg_size"}])
    bodies, _ = drive(run_job(config, folder))
    captioned, foreign = groups(bodies)
    assert set(captioned.samples[0].reward_breakdown) == {"correct", "strict", "dense", "jpeg_size"}
    assert set(foreign.samples[0].reward_breakdown) == {"jpeg_size"}
    assert foreign.samples[0].verdict is None
    assert all(s.reward == s.reward_breakdown["jpeg_size"] for group in (captioned, foreign) for s in group.samples)
    found = scores(bodies)["policy"]
    sizes = [sample.reward for group in (captioned, foreign) for sample in group.samples]
    assert found.values["jpeg_size"] == pytest.approx(sum(size or 0 for size in sizes) / 4)
    assert found.benchmark == "prompts"
    assert "overall" in found.values, "of the caption alone"


def test_prompts_that_nothing_scores_are_kept_and_said(policy_folder: Path, folder: RunFolder) -> None:
    bodies, outcome = drive(run_job(config_of(policy_folder, prompts={"texts": ["a cat"]}), folder))
    assert outcome is RunStatus.SUCCEEDED
    (remark,) = (body for body in bodies if isinstance(body, Log))
    assert "no verdict for 1 of 1 prompts" in remark.message
    assert groups(bodies)[0].samples[0].reward is None


def test_only_the_captions_of_the_tasks_that_are_named_are_shown(policy_folder: Path, folder: RunFolder) -> None:
    bodies, _ = drive(run_job(config_of(policy_folder, prompts={"tasks": ["counting"]}), folder))
    assert {group.task for group in groups(bodies)} == {"counting"}
    assert scores(bodies)["policy"].values["overall"] == scores(bodies)["policy"].values["counting"]


def test_a_cut_evaluation_with_rewards_ends_with_the_figures_of_the_whole_one(
    policy_folder: Path, folder: RunFolder, tmp_path: Path
) -> None:
    config = config_of(policy_folder, rewards=[{"name": "jpeg_size"}], policies=[{"label": "b"}])
    whole, _ = drive(run_job(config, RunFolder(tmp_path / "whole")))
    first, _ = drive(run_job(config, folder), stop_after=5)
    resumed, _ = drive(run_job(config, folder))
    assert isinstance(first[1], StepFinished)
    assert scores(resumed) == scores(whole)
    assert hashes(first) | hashes(resumed) == hashes(whole)


def test_a_label_that_the_figures_use_themselves_is_refused() -> None:
    for labels in (["difference"], ["base"], ["a", "a"]):
        with pytest.raises(ValueError, match="give each once, and none of"):
            EvaluateConfig.model_validate({"policies": [{"label": label} for label in labels]})
