"""The paper's ablation on mini-GenEval at equal compute: each variant changes one thing of a base recipe.

`python -m tests.results.ablation --seeds 7 8 9` goes on where it was stopped and writes docs/results/ablation-*.json
and the table of docs/results.md. Compute is counted by `state_passes`; a variant whose step is dearer gets fewer steps.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.schemas.algorithm import StepSelection
from backend.schemas.config import TrainConfig
from backend.schemas.objective import Objective
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS
from tests.results.report import RESULTS_DIR, shipped_weights, write_report
from tests.results.running import evaluate_run, train_run
from tests.results.trials import Trial, changed

PREFIX = "ablation-"


@dataclass(frozen=True)
class Variant:
    """One row of the ablation."""

    name: str
    title: str
    changes: dict[str, Any] = field(default_factory=dict)  # dotted path -> value

    def config(self, recipe: str, budget: float, seed: int, num_threads: int) -> TrainConfig:
        """The variant's configuration; the rate decays over the steps that the budget pays for."""
        base = Trial(self.name, self.title, recipe, self.changes).config(seed, 1, num_threads)
        num_steps = max(1, round(budget / state_passes(base)))
        lengths = {
            "num_steps": num_steps,
            "optimizer.decay_steps": num_steps,
            "optimizer.num_warmup_steps": min(base.optimizer.num_warmup_steps, num_steps // 4),
            "checkpoints.every_num_steps": max(1, num_steps // 4),
            "checkpoints.num_kept": 2,
        }
        return TrainConfig.model_validate(changed(base.model_dump(mode="json"), lengths))


_SUBSET = {"grpo.num_selected_steps": 3}
_FORWARD = {
    "grpo.objective": "forward_process",
    "grpo.transition": "candidate_1",  # The default: the forward process reads none.
    "grpo.ratio": "token",
    "grpo.step_selection": "all",
}
VARIANTS = (
    Variant("candidate-2", "candidate 2, the base of the rows below"),
    Variant("candidate-1", "candidate 1, exact", {"grpo.transition": "candidate_1"}),
    Variant(
        "candidate-1-bounded",
        "candidate 1, means of both terms apart, mass floor .05",
        {
            "grpo.transition": "candidate_1",
            "grpo.candidate_1": {"normalisation": "separate", "mass_floor": 0.05},
        },
    ),
    Variant("autoregressive", "autoregressive", {"grpo.transition": "autoregressive"}),
    Variant("candidate-1-selection", "the transition's own probability", {"grpo.transition": "candidate_1_selection"}),
    Variant("candidate-2-selection", "candidate 2 + selection term", {"grpo.transition": "candidate_2_selection"}),
    Variant(
        "candidate-2-selection-bounded",
        "candidate 2 + selection term, temperature at least .2",
        {"grpo.transition": "candidate_2_selection", "grpo.selection_term.temperature_floor": 0.2},
    ),
    Variant("autoregressive-selection", "all draws + selection term", {"grpo.transition": "autoregressive_selection"}),
    Variant("kl", "with KL, weight .05", {"grpo.kl_beta": 0.05}),
    Variant("no-filter", "no sample filter", {"grpo.filter.is_enabled": False, "grpo.filter.max_tries": 2}),
    Variant("filter-resampling", "filter that re-samples, 2 tries", {"grpo.filter.max_tries": 2}),
    Variant("no-unmasking-reduction", "16 unmasking steps in training", {"sampling.num_unmasking_steps": 16}),
    Variant("random-steps", "loss on 3 random steps", {"grpo.step_selection": "random", **_SUBSET}),
    Variant("first-steps", "loss on the first 3 steps", {"grpo.step_selection": "first", **_SUBSET}),
    Variant("window", "loss on a sliding window of 3 steps", {"grpo.step_selection": "window", **_SUBSET}),
    Variant("information", "loss on the 3 most informative steps", {"grpo.step_selection": "information", **_SUBSET}),
    Variant("forward-process", "forward-process loss, 4 re-maskings", _FORWARD),
    Variant("forward-process-epochs", "forward-process loss, 3 epochs", {**_FORWARD, "grpo.num_epochs": 3}),
    Variant("win-rate", "win-rate advantages", {"grpo.advantage": "win_rate"}),
)


def state_passes(config: TrainConfig) -> float:
    """What a training step costs for each rollout: passes of the transformer over one picture's state.

    A forward pass is 1, a backward pass 2, with guidance each twice. Not counted: re-samplings of the filter (reported
    beside the figures), the measured KL of one group, and what is beside the transformer.
    """
    grpo, num_steps = config.grpo, config.sampling.num_unmasking_steps
    halves = 2 if config.sampling.guidance_scale > 0 else 1
    reference = 1 if grpo.kl_beta > 0 else 0
    if grpo.objective is Objective.FORWARD_PROCESS:
        number = grpo.forward_process.num_remaskings
        return halves * num_steps + number + grpo.num_epochs * number * (3 + reference)
    num_selected = num_steps if grpo.step_selection is StepSelection.ALL else grpo.num_selected_steps
    return halves * (num_steps + grpo.num_epochs * num_selected * (3 + reference))


def budget_of(recipe: str, share: float) -> float:
    """State passes a rollout that the recipe takes itself, or a share of them."""
    config = Trial("", "", recipe).config(0, 1, 0)
    return share * state_passes(config) * Trial("", "", recipe).steps[-1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is asked for; what is done already is not run again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", nargs="*", default=[variant.name for variant in VARIANTS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[7, 8, 9])
    parser.add_argument("--recipe", default="tiny-shapes")
    parser.add_argument("--share", type=float, default=1.0, help="of the recipe's own compute, for every variant")
    parser.add_argument("--captions", type=int, default=NUM_HELDOUT_CAPTIONS, help="held-out captions, at most 540")
    parser.add_argument("--folder", type=Path, default=Path("data/ablation"), help="where the runs lie")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help="where the figures go")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = all cores")
    options = parser.parse_args(arguments)
    known = {variant.name: variant for variant in VARIANTS}
    if unknown := set(options.variants) - set(known):
        parser.error(f"unknown variants {sorted(unknown)}: take from {sorted(known)}")
    # Every variant has its first seed before any has its second: what is stopped early is still comparable.
    for seed in options.seeds:
        for name in options.variants:
            _run(known[name], seed, options)
    if options.results == RESULTS_DIR:
        write_report()


def _run(variant: Variant, seed: int, options: argparse.Namespace) -> None:
    """Trains and evaluates one variant with one seed, where that is not done yet."""
    name = f"{PREFIX}{variant.name}-seed-{seed}"
    path: Path = options.results / f"{name}.json"
    if path.exists():
        return
    budget = budget_of(options.recipe, options.share)
    config = variant.config(options.recipe, budget, seed, options.threads)
    steps = train_run(config, options.folder / name)
    scores = evaluate_run(
        config, f"run:{name}@{config.num_steps}", options.folder / f"{name}-evaluated", options.captions
    )
    result = {
        "ablation": variant.name,
        "title": variant.title,
        "seed": seed,
        "budget": budget,
        "state_passes": state_passes(config) * config.num_steps,
        "num_captions": options.captions,
        "weights": shipped_weights(),
        "config": config.model_dump(mode="json"),
        "scores": scores,
        "steps": steps,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
