"""Where a job's prompts come from: the small world's captions in a fixed order, own texts, or a prompt set.

Every prompt follows from the seed and its number alone, so the cursor is the whole state.
"""

from __future__ import annotations

import numpy as np

from backend.artifacts import RunFolder
from backend.prompt_files import Prompt, read_set, sets_beside
from backend.schemas.prompts import PromptConfig
from worker.shapes.captions import TASKS, Caption, all_captions, parse_caption, sample_caption
from worker.shapes.grammar import TaskName


class CaptionSource:
    """Captions of the small world or own texts; a PromptSource of the trainer."""

    def __init__(self, config: PromptConfig, seed: int, texts: tuple[str, ...] = ()) -> None:
        """Takes the world's captions unless there are own texts; see `own_texts`."""
        self._texts = texts or config.texts
        self._split = config.split
        self._tasks = checked_tasks(config)
        self._seed = seed
        self._cursor = 0

    def next_prompts(self, num_prompts: int) -> list[str]:
        """The next prompts: each task equally often, own texts in turn."""
        numbers = range(self._cursor, self._cursor + num_prompts)
        self._cursor += num_prompts
        return [self._prompt(number) for number in numbers]

    def state_dict(self) -> dict[str, object]:
        """How many prompts were taken."""
        return {"cursor": self._cursor}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Goes on after the prompts that were taken."""
        cursor = state["cursor"]
        assert isinstance(cursor, int)
        self._cursor = cursor

    def _prompt(self, number: int) -> str:
        if self._texts:
            return self._texts[number % len(self._texts)]
        rng = np.random.default_rng([self._seed, number])
        task = self._tasks[number % len(self._tasks)]
        caption = sample_caption(rng, self._split.value)
        while caption.task != task:
            caption = sample_caption(rng, self._split.value)
        return caption.text


def read_prompt_set(folder: RunFolder, sha256: str) -> tuple[Prompt, ...]:
    """The prompts of a version, which lies beside the runs' folders.

    Raises:
        ValueError: when it is not there or was changed.
    """
    return read_set(sets_beside(folder.root.parent), sha256)


def prompts_of_set(config: PromptConfig, folder: RunFolder) -> tuple[Prompt, ...]:
    """The prompts of the set that a configuration names, of its tasks where it names some; none without a set.

    Raises:
        ValueError: when the set is not there, was changed, or has no prompt of these tasks.
    """
    if not config.prompt_set:
        return ()
    prompts = read_prompt_set(folder, config.prompt_set)
    found = tuple(each for each in prompts if not config.tasks or each.task in config.tasks)
    if not found:
        tasks = sorted({each.task or "none" for each in prompts})
        raise ValueError(
            f"prompts.tasks is {[task.value for task in config.tasks]}, but the prompt set has only {tasks}: take from "
            "these, or leave prompts.tasks empty"
        )
    return found


def own_texts(config: PromptConfig, folder: RunFolder) -> tuple[str, ...]:
    """The prompts that stand in for the world's captions: listed ones, or those of a prompt set."""
    return config.texts or tuple(prompt.text for prompt in prompts_of_set(config, folder))


def checked_tasks(config: PromptConfig) -> tuple[TaskName, ...]:
    """The tasks that a configuration names, or all six.

    Raises:
        ValueError: when it names one that the small world does not have.
    """
    unknown = [task for task in config.tasks if task not in TASKS]
    if unknown:
        raise ValueError(f"prompts.tasks names {unknown}, which the small world does not have: take from {list(TASKS)}")
    return tuple(task for task in TASKS if not config.tasks or task in config.tasks)


def heldout_captions(num_prompts: int, field: str) -> tuple[Caption, ...]:
    """The first held-out captions; they take the tasks in turn, so any number of them is balanced.

    Raises:
        ValueError: when more are asked for than there are.
    """
    captions = all_captions("heldout")
    if num_prompts > len(captions):
        raise ValueError(
            f"{field} is {num_prompts}, but the small world holds out {len(captions)} captions: take at most these, "
            "and more samples a caption"
        )
    return captions[:num_prompts]


def task_of(prompt: str) -> str | None:
    """The small world's task of a prompt, or None where it is no caption of that world."""
    try:
        return parse_caption(prompt).task
    except ValueError:
        return None
