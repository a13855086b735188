"""Label tasks for the browser tests: made over REST of a small training run's groups, with raters and their links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.client import StudioClient
from backend.schemas.preference import LabelTask, LabelTaskCreate, NewRater, RaterCreate, Vote
from backend.schemas.run import Run

MakeTask = Callable[..., LabelTask]


def label_task(client: StudioClient, run: Run, **changes: Any) -> LabelTask:
    """An open task of pairs within the groups of a training run."""
    wanted = {"name": "a task", "num_pairs": 12, "votes_per_pair": 2, "guideline": "Look at the colours."} | changes
    wanted.setdefault("source", {"kind": "within_group", "run_id": str(run.id)})
    return client.create_label_task(LabelTaskCreate.model_validate(wanted))


def rater(client: StudioClient, task: LabelTask, label: str = "Ann", *, is_simulated: bool = False) -> NewRater:
    """A rater with a link."""
    return client.create_rater(task.id, RaterCreate(label=label, is_simulated=is_simulated))


def votes(client: StudioClient, task: LabelTask) -> list[Vote]:
    """All votes of a task in the order in which they came, undone ones too."""
    return client.list_votes(task.id, limit=100).data
