"""What an evaluation shows and from which seeds: the small world's captions, own prompts, or a prompt set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.artifacts import RunFolder
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
        return _of_set(prompts.prompt_set, folder.root.parent.parent / "prompt-sets")
    if prompts.texts:
        return tuple(_of_text(text) for text in prompts.texts)
    if prompts.prompt_set:
        return tuple(
            EvaluationPrompt(each.text, each.task, task_of(each.text) is not None, each.geneval)
            for each in prompts_of_set(prompts, folder)
        )
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


def _of_set(sha256: str, folder: Path) -> tuple[EvaluationPrompt, ...]:
    path = folder / f"{sha256}.jsonl"
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [(str(entry["text"]), entry.get("task"), entry.get("geneval")) for entry in entries]
    except FileNotFoundError as error:
        raise ValueError(f"prompts.prompt_set: there is no prompt set {sha256}: upload it, or name another") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"prompts.prompt_set: {path} is no list of prompts: {error}; upload it anew") from error
    if not found:
        raise ValueError(f"prompts.prompt_set: {path} holds no prompt; upload it anew")
    captions = [task_of(text) for text, _, _ in found]
    return tuple(
        EvaluationPrompt(text, task or (geneval or {}).get("tag") or own, own is not None, geneval)
        for (text, task, geneval), own in zip(found, captions, strict=True)
    )


def _of_text(text: str) -> EvaluationPrompt:
    task = task_of(text)
    return EvaluationPrompt(text, task, task is not None)
