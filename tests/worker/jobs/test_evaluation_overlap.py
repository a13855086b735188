"""Prompts that a policy was trained on are found in its run's configuration, and said before the figures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig
from backend.schemas.event import Log
from backend.schemas.picture_runs import EvaluateConfig
from tests.worker.jobs.driving import drive
from worker.jobs import run_job
from worker.jobs.evaluation_overlap import num_trained_on
from worker.jobs.evaluation_prompts import EvaluationPrompt, evaluation_prompts
from worker.jobs.prompts import CaptionSource

FOREIGN = EvaluationPrompt("a cat", None, is_caption=False)


def trained_on(folder: RunFolder, **prompts: Any) -> RunFolder:
    other = RunFolder(folder.root.parent / "trained")
    other.write("config.json", TrainConfig.model_validate({"prompts": prompts}).model_dump_json().encode())
    return other


def heldout(folder: RunFolder) -> tuple[EvaluationPrompt, ...]:
    return evaluation_prompts(EvaluateConfig(num_prompts=12), folder)


def test_held_out_captions_are_new_to_a_run_on_the_training_split(folder: RunFolder) -> None:
    config = trained_on(folder)
    drawn = CaptionSource(TrainConfig().prompts, 7).next_prompts(12)
    seen = [EvaluationPrompt(text, "counting", is_caption=True) for text in drawn]
    assert num_trained_on("run:trained", heldout(folder), folder) == 0
    assert num_trained_on("run:trained@20", [*seen, FOREIGN], folder) == 12
    assert config.path("config.json").is_file()


def test_a_run_on_held_out_captions_has_seen_those_of_its_tasks(folder: RunFolder) -> None:
    trained_on(folder, split="heldout", tasks=["counting", "colors"])
    assert num_trained_on("run:trained", heldout(folder), folder) == 4


def test_own_prompts_are_compared_without_case_space_and_full_stop(folder: RunFolder) -> None:
    trained_on(folder, texts=["A  cat.", "a dog"])
    assert num_trained_on("run:trained", [FOREIGN, *heldout(folder)], folder) == 1


@pytest.mark.parametrize("source", ["shipped", "/a/folder", "run:gone"])
def test_where_nobody_can_tell_nothing_is_said(folder: RunFolder, source: str) -> None:
    assert num_trained_on(source, [FOREIGN], folder) == 0


def test_an_evaluation_says_that_its_prompts_were_trained_on(policy_folder: Path, folder: RunFolder) -> None:
    other = trained_on(folder, texts=["two squares"])
    shutil.copytree(policy_folder, other.path("exports/policy"))
    values = {
        "policy": {"source": "run:trained", "num_threads": 1, "device": "cpu"},
        "prompts": {"texts": ["two squares", "three squares"]},
        "sampling": {"num_unmasking_steps": 2},
    }
    bodies, _ = drive(run_job(EvaluateConfig.model_validate(values), folder))
    (remark,) = (body for body in bodies if isinstance(body, Log))
    assert remark.message.startswith("policy was trained on 1 of these 2 prompts")
