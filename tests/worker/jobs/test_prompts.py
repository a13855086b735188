"""Prompts follow from the seed and their number, whatever was taken before in one go."""

from __future__ import annotations

import pytest

from backend.schemas.prompts import PromptConfig
from worker.jobs.prompts import CaptionSource, heldout_captions, task_of
from worker.shapes.captions import TASKS, all_captions


def test_a_source_that_is_resumed_goes_on_with_the_very_next_prompt() -> None:
    whole = CaptionSource(PromptConfig(), seed=3).next_prompts(20)
    source = CaptionSource(PromptConfig(), seed=3)
    first = source.next_prompts(7)
    resumed = CaptionSource(PromptConfig(), seed=3)
    resumed.load_state_dict(source.state_dict())
    assert first + resumed.next_prompts(13) == whole
    assert CaptionSource(PromptConfig(), seed=4).next_prompts(20) != whole


def test_tasks_come_equally_often_and_never_a_held_out_caption() -> None:
    prompts = CaptionSource(PromptConfig(), seed=3).next_prompts(60)
    assert [task_of(prompt) for prompt in prompts[:6]] == list(TASKS)
    assert {task: sum(task_of(prompt) == task for prompt in prompts) for task in TASKS} == dict.fromkeys(TASKS, 10)
    assert not set(prompts) & {caption.text for caption in all_captions("heldout")}


def test_only_the_named_tasks_come() -> None:
    prompts = CaptionSource(PromptConfig(tasks=("position", "counting")), seed=3).next_prompts(10)
    assert {task_of(prompt) for prompt in prompts} == {"position", "counting"}


def test_an_unknown_task_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"\['juggling'\], which the small world does not have"):
        CaptionSource(PromptConfig(tasks=("juggling",)), seed=3)


def test_own_texts_come_in_turn_and_need_be_no_captions() -> None:
    source = CaptionSource(PromptConfig(texts=("a cat", "a dog")), seed=3)
    assert source.next_prompts(3) == ["a cat", "a dog", "a cat"]
    assert source.next_prompts(1) == ["a dog"]
    assert task_of("a cat") is None


def test_more_held_out_captions_than_there_are_is_refused_with_the_number() -> None:
    assert len(heldout_captions(540, "num_prompts")) == 540
    with pytest.raises(ValueError, match="num_prompts is 541, but the small world holds out 540"):
        heldout_captions(541, "num_prompts")
