"""Sample and evaluate jobs: the pictures asked for, paired figures, and progress that survives a cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.artifacts import RunFolder, sha256_of
from backend.schemas.event import Body, JobStarted, Log, SamplesMade, ScoreMeasured, StepFinished
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.run import RequestFlags, RunStatus
from tests.worker.jobs.driving import drive
from worker.jobs import run_job


def sample_config(policy_folder: Path, **changes: Any) -> SampleConfig:
    values: dict[str, Any] = {
        "kind": "sample",
        "seed": 11,
        "policy": {"source": str(policy_folder), "num_threads": 1, "device": "cpu"},
        "num_prompts": 6,
        "samples_per_prompt": 8,
        "sampling": {"num_unmasking_steps": 2},
    }
    return SampleConfig.model_validate(values | changes)


def evaluate_config(policy_folder: Path, **changes: Any) -> EvaluateConfig:
    policy = {"source": str(policy_folder), "num_threads": 1, "device": "cpu"}
    values: dict[str, Any] = {
        "kind": "evaluate",
        "policy": policy,
        "base": policy,
        "num_prompts": 12,
        "samples_per_prompt": 2,
        "batch_size": 8,
        "sampling": {"num_unmasking_steps": 2},
    }
    return EvaluateConfig.model_validate(values | changes)


def made(bodies: list[Body]) -> list[SamplesMade]:
    return [body for body in bodies if isinstance(body, SamplesMade)]


def scores(bodies: list[Body]) -> dict[str, ScoreMeasured]:
    return {body.policy: body for body in bodies if isinstance(body, ScoreMeasured)}


def test_a_sample_run_makes_every_picture_with_the_seeds_it_names(policy_folder: Path, folder: RunFolder) -> None:
    bodies, outcome = drive(run_job(sample_config(policy_folder), folder))
    assert outcome is RunStatus.SUCCEEDED
    groups = [group for body in made(bodies) for group in body.groups]
    assert [group.index for group in groups] == [0, 1, 2, 3, 4, 5]
    assert [(body.num_done, body.num_total) for body in made(bodies)] == [(32, 48), (48, 48)]
    for group in groups:
        assert [sample.seed for sample in group.samples] == list(range(11, 19))
        assert all(sha256_of(folder.path(sample.image_path)) == sample.image_sha256 for sample in group.samples)
        frames = [sample.image_path.replace("samples/", "frames/") for sample in group.samples]
        assert all(folder.path(path).is_file() for path in frames)
        assert group.samples[0].verdict is not None


def test_own_prompts_need_be_no_captions_and_then_have_no_verdict(policy_folder: Path, folder: RunFolder) -> None:
    config = sample_config(policy_folder, prompts={"texts": ["a red circle of stars"]}, samples_per_prompt=1)
    bodies, _ = drive(run_job(config, folder))
    (group,) = made(bodies)[0].groups
    assert (group.prompt, group.task, group.mean_reward) == ("a red circle of stars", None, None)
    assert group.samples[0].verdict is None
    (remark,) = (body for body in bodies if isinstance(body, Log))
    assert (remark.level, remark.message[:49]) == ("warning", "no verdict and no reward for 1 of 1 prompts, whic")
    assert "'a red circle of stars'. It understands 'a photo of' one shape" in remark.message


def test_own_prompts_that_are_captions_get_a_verdict_like_drawn_ones(policy_folder: Path, folder: RunFolder) -> None:
    config = sample_config(policy_folder, prompts={"texts": ["Two  squares."]}, samples_per_prompt=1)
    bodies, _ = drive(run_job(config, folder))
    (group,) = made(bodies)[0].groups
    assert group.task == "counting"
    verdict = group.samples[0].verdict
    assert verdict is not None
    assert [condition.text for condition in verdict.conditions][:2] == [
        "there is at least one square",
        "there are at least two squares",
    ]
    assert group.samples[0].reward == float(verdict.is_correct)
    assert not any(isinstance(body, Log) for body in bodies)


@pytest.mark.slow
def test_a_sample_run_goes_on_after_the_batch_that_was_recorded(policy_folder: Path, folder: RunFolder) -> None:
    config = sample_config(policy_folder)
    first, _ = drive(run_job(config, folder), ask=lambda _: RequestFlags(is_pause_requested=True))
    assert [type(body) for body in first] == [JobStarted]
    first, _ = drive(run_job(config, folder), stop_after=4)
    second, outcome = drive(run_job(config, folder))
    assert outcome is RunStatus.SUCCEEDED
    assert isinstance(second[0], JobStarted)
    assert second[0].from_step == 1
    assert [group.index for body in made(second) for group in body.groups] == [4, 5]


def test_a_policy_against_itself_differs_by_exactly_nothing(policy_folder: Path, folder: RunFolder) -> None:
    bodies, outcome = drive(run_job(evaluate_config(policy_folder), folder))
    assert outcome is RunStatus.SUCCEEDED
    found = scores(bodies)
    assert set(found) == {"base", "policy", "difference"}
    assert found["base"].values == found["policy"].values
    assert (found["policy"].num_prompts, found["policy"].samples_per_prompt) == (12, 2)
    difference = found["difference"]
    assert all(value == 0 for key, value in difference.values.items() if key != "num_ties")
    assert difference.values["num_ties"] == 24
    steps = [body for body in bodies if isinstance(body, StepFinished)]
    assert [body.step for body in steps] == [1, 2, 3]
    assert set(steps[-1].metrics) == {"base/correct", "base/strict", "policy/correct", "policy/strict"}
    policies = [group.policy for body in made(bodies) for group in body.groups]
    assert (policies.count("base"), policies.count("policy")) == (12, 12)
    for group in [group for body in made(bodies) for group in body.groups]:
        frames = [sample.image_path.replace("samples/", "frames/") for sample in group.samples]
        assert [folder.path(path).is_file() for path in frames] == [True, False]


def test_without_a_base_there_is_one_score_and_no_difference(policy_folder: Path, folder: RunFolder) -> None:
    bodies, _ = drive(run_job(evaluate_config(policy_folder, base=None), folder))
    assert set(scores(bodies)) == {"policy"}


@pytest.mark.slow
def test_a_cut_evaluation_ends_with_the_figures_of_the_whole_one(
    policy_folder: Path, folder: RunFolder, tmp_path: Path
) -> None:
    config = evaluate_config(policy_folder)
    whole, _ = drive(run_job(config, RunFolder(tmp_path / "whole")))
    drive(run_job(config, folder), stop_after=5)
    resumed, outcome = drive(run_job(config, folder))
    assert outcome is RunStatus.SUCCEEDED
    assert isinstance(resumed[0], JobStarted)
    assert resumed[0].from_step == 1
    assert scores(resumed) == scores(whole)


@pytest.mark.slow
def test_a_damaged_progress_file_costs_time_and_no_truth(policy_folder: Path, folder: RunFolder) -> None:
    config = evaluate_config(policy_folder, base=None)
    whole, _ = drive(run_job(config, folder))
    folder.write("progress.json", b'{"step": 2, "cont')
    again, _ = drive(run_job(config, folder))
    assert isinstance(again[0], JobStarted)
    assert again[0].from_step == 0
    assert scores(again) == scores(whole)


@pytest.mark.parametrize("flag", ["is_cancel_requested", "is_pause_requested"])
def test_an_evaluation_stops_after_the_batch_in_hand(policy_folder: Path, folder: RunFolder, flag: str) -> None:
    def ask(body: Body) -> RequestFlags:
        return RequestFlags.model_validate({flag: isinstance(body, SamplesMade)})

    bodies, outcome = drive(run_job(evaluate_config(policy_folder, base=None), folder), ask=ask)
    assert outcome is (RunStatus.CANCELLED if flag == "is_cancel_requested" else RunStatus.PAUSED)
    assert len(made(bodies)) == 1


def test_more_captions_than_are_held_out_are_refused(policy_folder: Path, folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="num_prompts is 541, but the small world holds out 540 captions"):
        drive(run_job(evaluate_config(policy_folder, num_prompts=541), folder))
