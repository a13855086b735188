"""Jobs take the prompts of a version as they are, and refuse one that is missing or changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from backend.artifacts import RunFolder
from backend.prompt_files import SHIPPED_SETS, Prompt, content_of, set_path, sets_beside
from backend.schemas.event import Log, SamplesMade
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.prompts import PromptConfig
from tests.worker.jobs.driving import drive
from worker.jobs import run_job
from worker.jobs.evaluation_prompts import evaluation_prompts
from worker.jobs.prompts import own_texts, read_prompt_set
from worker.shapes.captions import TASKS, all_captions

PROMPTS = (
    Prompt("a photo of a star", "single_object", ("short",)),
    Prompt("a photo of two circles", "counting"),
    Prompt("a photo of a bench", "single_object", (), {"tag": "single_object", "include": [{"class": "bench"}]}),
)


def keep(folder: RunFolder, prompts: tuple[Prompt, ...] = PROMPTS) -> str:
    content = content_of(prompts)
    sha256 = hashlib.sha256(content).hexdigest()
    sets = sets_beside(folder.root.parent)
    sets.mkdir(parents=True, exist_ok=True)
    (sets / f"{sha256}.jsonl").write_bytes(content)
    return sha256


def test_a_version_is_read_as_it_was_written(folder: RunFolder) -> None:
    assert read_prompt_set(folder, keep(folder)) == PROMPTS


def test_only_the_named_tasks_are_taken_and_a_task_that_is_not_there_is_refused(folder: RunFolder) -> None:
    sha256 = keep(folder)
    counting = PromptConfig(prompt_set=sha256, tasks=("counting",))
    assert own_texts(counting, folder) == ("a photo of two circles",)
    with pytest.raises(ValueError, match=r"has only \['counting', 'single_object'\]"):
        own_texts(PromptConfig(prompt_set=sha256, tasks=("position",)), folder)


def test_a_changed_or_missing_version_is_refused_with_the_cure(folder: RunFolder) -> None:
    sha256 = keep(folder)
    path = sets_beside(folder.root.parent) / f"{sha256}.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ValueError, match="was changed since it was stored"):
        read_prompt_set(folder, sha256)
    path.unlink()
    with pytest.raises(ValueError, match="upload the prompts again"):
        read_prompt_set(folder, sha256)


def test_an_evaluation_keeps_task_and_geneval_line_of_each_prompt(folder: RunFolder) -> None:
    config = EvaluateConfig.model_validate({"kind": "evaluate", "prompts": {"prompt_set": keep(folder)}})
    found = evaluation_prompts(config, folder)
    assert [(each.text, each.task, each.is_caption) for each in found] == [
        ("a photo of a star", "single_object", True),
        ("a photo of two circles", "counting", True),
        ("a photo of a bench", "single_object", False),
    ]
    assert found[2].geneval == PROMPTS[2].geneval


def test_a_sample_run_makes_pictures_of_a_set_and_tells_which_prompts_have_no_verdict(
    policy_folder: Path, folder: RunFolder
) -> None:
    values = {
        "kind": "sample",
        "policy": {"source": str(policy_folder), "num_threads": 1, "device": "cpu"},
        "prompts": {"prompt_set": keep(folder)},
        "samples_per_prompt": 1,
        "sampling": {"num_unmasking_steps": 2},
    }
    bodies, _ = drive(run_job(SampleConfig.model_validate(values), folder))
    groups = [group for body in bodies if isinstance(body, SamplesMade) for group in body.groups]
    assert [group.prompt for group in groups] == [prompt.text for prompt in PROMPTS]
    assert any("a photo of a bench" in body.message for body in bodies if isinstance(body, Log))


def test_the_shipped_sets_are_the_small_worlds_splits(folder: RunFolder) -> None:
    by_name = {}
    for name in ("heldout", "train"):
        sha256 = hashlib.sha256((SHIPPED_SETS / f"{name}.jsonl").read_bytes()).hexdigest()
        assert set_path(sets_beside(folder.root.parent), sha256) is not None
        by_name[name] = read_prompt_set(folder, sha256)
    heldout, train = all_captions("heldout"), all_captions("train")
    assert [(each.text, each.task) for each in by_name["heldout"]] == [(each.text, each.task) for each in heldout]
    # Of each content of the training split, its plainest wording.
    contents = {(each.wanted, each.relation) for each in train}
    assert len(by_name["train"]) == len(contents) == 574
    assert {each.text for each in by_name["train"]} <= {each.text for each in train}
    assert {each.task for each in by_name["train"]} == set(TASKS)


def test_texts_and_a_set_together_are_refused() -> None:
    with pytest.raises(ValueError, match="both set: empty one of them"):
        PromptConfig(texts=("a star",), prompt_set="0" * 64)
