"""The experiments: a recipe, what is changed in it, how long it runs, and at which steps it is evaluated."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from backend.recipes.loading import get_recipe
from backend.schemas.config import TrainConfig


@dataclass(frozen=True)
class Trial:
    """One row of the results: the same for every seed."""

    name: str
    title: str
    recipe: str = "tiny-shapes"
    changes: dict[str, Any] = field(default_factory=dict)  # dotted path -> value
    trained_as: str = ""  # the trial whose training this one evaluates in another way; empty = its own
    marks: tuple[float, ...] = (1.0,)  # evaluated at these multiples of the recipe's length; the last one ends the run

    def config(self, seed: int, num_steps: int, num_threads: int) -> TrainConfig:
        """The trial's configuration for a seed; the learning-rate schedule is the recipe's, however long it runs."""
        recipe = get_recipe(self.recipe).config
        assert isinstance(recipe, TrainConfig), f"{self.recipe} is no training recipe"
        settings = recipe.model_dump(mode="json")
        settings["optimizer"]["decay_steps"] = recipe.optimizer.decay_steps or recipe.num_steps
        changes = {
            "seed": seed,
            "name": f"{self.name}, seed {seed}",
            "num_steps": num_steps,
            "policy.num_threads": num_threads,
            "checkpoints.every_num_steps": max(1, self.steps[0] // 2),
            "checkpoints.num_kept": 1000,
            "probe.num_prompts": 0,
            "log_groups_every": 10_000,
        }
        return TrainConfig.model_validate(changed(settings, {**changes, **self.changes}))

    @property
    def steps(self) -> list[int]:
        """The marks as step numbers."""
        recipe = get_recipe(self.recipe).config
        assert isinstance(recipe, TrainConfig), f"{self.recipe} is no training recipe"
        return [round(mark * recipe.num_steps) for mark in self.marks]


def changed(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with some of them, named by their dotted paths, put to other values."""
    result = copy.deepcopy(settings)
    for path, value in changes.items():
        *sections, key = path.split(".")
        place = result
        for section in sections:
            place = place[section]
        place[key] = value
    return result


TRIALS = (
    Trial("default", "the default recipe (candidate 2)", marks=(0.5, 1.0, 4.0)),
    # The threads are the command's: `--trials clock --seeds 7 --threads 2` on a machine that does nothing else.
    Trial("clock", "the default recipe against the clock: two threads, nothing else running"),
    Trial(
        "guided-evaluation",
        "the default recipe, trained without guidance but evaluated at guidance 1.75",
        trained_as="default",
        changes={"evaluation_sampling.guidance_scale": 1.75},
        marks=(0.5, 1.0),
    ),
    Trial(
        "guided",
        "the default recipe at guidance 1.75, in the rollout and in the evaluation",
        changes={"sampling.guidance_scale": 1.75, "evaluation_sampling.guidance_scale": 1.75},
        marks=(0.5, 1.0),
    ),
    Trial("candidate-1", "candidate 1, exact, under Gumbel noise", changes={"grpo.transition": "candidate_1"}),
    Trial(
        "candidate-1-noise-free",
        "candidate 1, exact, temperature 0 in the rollout",
        changes={"grpo.transition": "candidate_1", "sampling.temperature": 0.0},
    ),
    Trial(
        "candidate-2-noise-free",
        "candidate 2, temperature 0 in the rollout",
        changes={"sampling.temperature": 0.0},
    ),
    Trial("autoregressive", "autoregressive log-prob", changes={"grpo.transition": "autoregressive"}),
)
