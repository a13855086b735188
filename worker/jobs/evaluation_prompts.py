"""What an evaluation shows and from which seeds: the small world's captions, own prompts, or a prompt set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.artifacts import RunFolder
from backend.prompt_files import Prompt
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS, PromptSplit
from worker.jobs.prompts import CaptionSource, checked_tasks, heldout_captions, prompts_of_set, task_of


@dataclass(frozen=True)
class EvaluationPrompt:
    """A prompt, the task that it belongs to, and what GenEval expects of its pictures."""

    text: str
    task: str | None
    is_caption: bool
    """of the small world, whose verifier then judges its pictures"""
    geneval: Mapping[str, Any] | None = None


def evaluation_prompts(config: EvaluateConfig, folder: RunFolder) -> tuple[EvaluationPrompt, ...]:
    """The prompts in a fixed order.

    Raises:
        ValueError: more captions are asked for than there are, or a prompt set is missing or broken.
    """
    prompts = config.prompts
    if prompts.prompt_set:
        return tuple(map(_of_set, prompts_of_set(prompts, folder)))
    if prompts.texts:
        return tuple(_of_text(text) for text in prompts.texts)
    if prompts.split is PromptSplit.TRAIN:
        return tuple(_of_text(text) for text in CaptionSource(prompts, config.seed).next_prompts(config.num_prompts))
    if not prompts.tasks:
        captions = heldout_captions(config.num_prompts, "num_prompts")
    else:
        tasks = checked_tasks(prompts)
        captions = tuple(each for each in heldout_captions(NUM_HELDOUT_CAPTIONS, "") if each.task in tasks)
        if config.num_prompts > len(captions):
            raise ValueError(
                f"num_prompts is {config.num_prompts}, but of the tasks {list(tasks)} the small world holds out "
                f"{len(captions)} captions: take at most these, and more samples a caption"
            )
        captions = captions[: config.num_prompts]
    return tuple(EvaluationPrompt(caption.text, caption.task, is_caption=True) for caption in captions)


def _of_set(prompt: Prompt) -> EvaluationPrompt:
    own = task_of(prompt.text)
    task = prompt.task or (prompt.geneval or {}).get("tag") or own
    return EvaluationPrompt(prompt.text, task, own is not None, prompt.geneval)


def _of_text(text: str) -> EvaluationPrompt:
    task = task_of(text)
    return EvaluationPrompt(text, task, task is not None)
