"""What the plan of an update reads from the objective."""

from __future__ import annotations

from typing import Any

from backend.preflight.plan import Update, plan_of
from backend.preflight.sizes import read_sizes
from backend.schemas.config import TrainConfig
from worker.showo.loading import SHIPPED_WEIGHTS


def update_of(**grpo: Any) -> Update:
    config = TrainConfig.model_validate(
        {"grpo": grpo, "rollout": {"num_prompts": 2, "group_size": 4}, "sampling": {"num_unmasking_steps": 8}}
    )
    update = plan_of(config, read_sizes(SHIPPED_WEIGHTS)).update
    assert update is not None
    return update


def test_the_forward_process_computes_its_re_maskings_and_not_the_unmasking_steps() -> None:
    update = update_of(
        objective="forward_process", ratio="token", forward_process={"num_remaskings": 2, "least_mask_ratio": 0.5}
    )
    # Eight pictures, two states each, with 48 and 64 of the 64 tokens masked.
    assert (update.num_transitions, update.num_sequences, update.num_rows) == (16, 16, 8 * (48 + 64))


def test_a_trajectory_computes_its_selected_steps() -> None:
    update = update_of(transition="candidate_2", step_selection="random", num_selected_steps=3)
    # Eight pictures, three of eight steps each, eight new tokens a step on average.
    assert (update.num_transitions, update.num_sequences, update.num_rows) == (24, 24, 24 * 8)
