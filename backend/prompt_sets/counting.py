"""What a version's list shows of its prompts: how many, of which tasks, and how many texts stand twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.prompt_files import Prompt

NO_TASK = "none"


def counts_of(prompts: Sequence[Prompt]) -> dict[str, Any]:
    """num_prompts, num_duplicates, and tasks in the order of their first prompts."""
    return {
        "num_prompts": len(prompts),
        "num_duplicates": len(prompts) - len({prompt.text for prompt in prompts}),
        "tasks": dict(Counter(prompt.task or NO_TASK for prompt in prompts)),
    }
