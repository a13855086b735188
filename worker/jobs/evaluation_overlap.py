"""Finds prompts of an evaluation that a policy was trained on, by the configuration of the run that trained it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig, run_config_adapter
from worker.jobs.evaluation_prompts import EvaluationPrompt
from worker.jobs.prompts import own_texts
from worker.shapes.captions import all_captions

_RUN_SOURCE = re.compile(r"run:([A-Za-z0-9][A-Za-z0-9_-]*)(?:@\d+)?")


def num_trained_on(source: str, prompts: Sequence[EvaluationPrompt], folder: RunFolder) -> int:
    """How many of the prompts the policy's own training run drew from; 0 where it is no run's, or nobody can tell.

    Texts are compared without case, outer space and full stop. What that run started from is not looked at.
    """
    match = _RUN_SOURCE.fullmatch(source)
    if match is None:
        return 0
    trained = RunFolder(folder.root.parent / match[1])
    try:
        config = run_config_adapter.validate_json(trained.read("config.json"))
        texts = own_texts(config.prompts, trained) if isinstance(config, TrainConfig) else ()
    except (OSError, ValueError):
        return 0
    if not isinstance(config, TrainConfig):
        return 0
    if texts:
        known = set(map(_plain, texts))
        return sum(_plain(prompt.text) in known for prompt in prompts)
    held_out = {_plain(caption.text) for caption in all_captions("heldout")}
    is_heldout = config.prompts.split == "heldout"
    tasks = {task.value for task in config.prompts.tasks}
    return sum(
        prompt.is_caption and (_plain(prompt.text) in held_out) is is_heldout and (not tasks or prompt.task in tasks)
        for prompt in prompts
    )


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")
