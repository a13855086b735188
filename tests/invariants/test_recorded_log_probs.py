"""What the rollout records is what the loss recomputes: the ratio is 1 until the policy changes."""

from __future__ import annotations

import copy

import pytest
import torch

from backend.schemas.algorithm import RatioLevel, SamplingConfig, StepSelection, TransitionDefinition
from tests.worker.maskgrpo.toys import ToyPrompts, brightness, toy_config
from worker.maskgrpo.loss import k3
from worker.maskgrpo.replay import Transitions, replay, transitions_of
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.trainer import train
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

PROMPTS = ["a red circle", "two stars", "a red circle", "a blue cross above a green square"]

# The transition's own probability under noise is an integral of 72 passes: its cases are for the slow tests.
DEFINITIONS = [
    pytest.param(each, marks=pytest.mark.slow) if each is TransitionDefinition.CANDIDATE_1_SELECTION else each
    for each in TransitionDefinition
]


def recorded(policy: ShowoPolicy, definition: TransitionDefinition, guidance_scale: float) -> Transitions:
    sampling = SamplingConfig(num_unmasking_steps=5, guidance_scale=guidance_scale)
    made = rollout(policy, PROMPTS, range(4), sampling, definition)
    steps = torch.arange(5).expand(4, -1)
    return transitions_of(made, PROMPTS, torch.ones(4), steps, policy.codebook_size, definition)


@pytest.mark.parametrize("guidance_scale", [0.0, pytest.param(1.75, marks=pytest.mark.slow)])
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_recorded_terms_equal_those_replayed_on_the_trajectory_s_states(
    definition: TransitionDefinition, guidance_scale: float
) -> None:
    policy = tiny_policy(seed=2)
    transitions = recorded(policy, definition, guidance_scale)
    found = replay(policy, transitions, definition, guidance_scale)
    assert found.terms.requires_grad
    torch.testing.assert_close(found.terms.detach(), transitions.old_terms, atol=2e-4, rtol=1e-5)
    assert transitions.old_terms.abs().sum() > 10


def test_another_guidance_than_the_rollout_s_gives_other_log_probs() -> None:
    policy = tiny_policy(seed=2)
    transitions = recorded(policy, TransitionDefinition.CANDIDATE_2, 1.75)
    with torch.no_grad():
        found = replay(policy, transitions, TransitionDefinition.CANDIDATE_2, 0.0)
    assert (found.terms - transitions.old_terms).abs().max() > 0.1


@pytest.mark.parametrize(
    "definition",
    [
        each if each is TransitionDefinition.CANDIDATE_2 else pytest.param(each, marks=pytest.mark.slow)
        for each in TransitionDefinition
    ],
)
def test_the_ratio_is_1_before_the_first_update_and_moves_with_the_second_epoch(
    definition: TransitionDefinition,
) -> None:
    ratios = []
    for num_epochs in (1, 2):
        config = toy_config(grpo={"transition": definition, "num_epochs": num_epochs}, sampling={"temperature": 0})
        step = next(train(tiny_policy(seed=2), None, brightness, ToyPrompts(PROMPTS), config))
        ratios.append(torch.tensor(step.credit["ratio"]))
    torch.testing.assert_close(ratios[0], torch.ones_like(ratios[0]), atol=1e-4, rtol=0)
    assert (ratios[1] - 1).abs().max() > 1e-3


def of_first_step(precision: torch.dtype | None, **grpo: object) -> dict[str, float]:
    """Metrics of one training step of the shipped policy."""
    policy = load_policy(SHIPPED_WEIGHTS)
    policy.showo.autocast_dtype = precision
    grpo = {"transition": TransitionDefinition.CANDIDATE_1, "ratio": RatioLevel.SEQUENCE, **grpo}
    config = toy_config(grpo=grpo, sampling={"num_unmasking_steps": 8, "temperature": 0})
    return next(train(policy, None, brightness, ToyPrompts(PROMPTS), config)).metrics


def test_in_bfloat16_the_first_pass_is_on_policy_though_what_was_recorded_lies_apart() -> None:
    """Candidate 1's threshold jumps with one rounding: against what was recorded, ratios of 100 were seen."""
    exact, rounded = of_first_step(None), of_first_step(torch.bfloat16)
    assert exact["ratio/mean"] == rounded["ratio/mean"] == 1
    assert rounded["ratio/clipped_share"] == 0
    assert exact["log_prob_gap"] < 1e-3 < rounded["log_prob_gap"]
    assert rounded["gradient_norm"] == pytest.approx(exact["gradient_norm"], rel=0.5)


@pytest.mark.parametrize("selection", [StepSelection.ALL, StepSelection.RANDOM])
def test_later_passes_compare_with_the_policy_that_sampled_also_where_their_steps_are_chosen_anew(
    selection: StepSelection,
) -> None:
    """With a learning rate of 0 the policy stays the old one, so every pass has the ratio 1."""
    policy = tiny_policy(seed=2)
    policy.showo.autocast_dtype = torch.bfloat16
    config = toy_config(
        grpo={"num_epochs": 3, "step_selection": selection, "num_selected_steps": 2, "ratio": RatioLevel.SEQUENCE},
        optimizer={"learning_rate": 1e-12, "weight_decay": 0},
    )
    step = next(train(policy, None, brightness, ToyPrompts(PROMPTS), config))
    assert step.metrics["ratio/mean"] == pytest.approx(1, abs=1e-6)
    assert step.metrics["log_prob_gap"] > 0


@pytest.mark.slow
def test_the_kl_is_zero_at_the_reference_and_positive_away_from_it() -> None:
    policy = tiny_policy(seed=2)
    reference = copy.deepcopy(policy)
    config = toy_config(grpo={"kl_beta": 0.01}, optimizer={"learning_rate": 1e-3})
    steps = train(policy, reference, brightness, ToyPrompts(PROMPTS), config)
    assert next(steps).metrics["kl"] == pytest.approx(0, abs=1e-6)
    assert next(steps).metrics["kl"] > 1e-5
    transitions = recorded(policy, TransitionDefinition.CANDIDATE_2, 0.0)
    with torch.no_grad():
        there = replay(reference, transitions, TransitionDefinition.CANDIDATE_2, 0.0).terms
    assert k3(transitions.old_terms, there, transitions.has_term).min() >= 0


@pytest.mark.slow
def test_the_kl_is_measured_without_a_weight_too_and_then_changes_nothing() -> None:
    trained = []
    config = toy_config(optimizer={"learning_rate": 1e-3})
    for reference in (tiny_policy(seed=2), None):
        policy = tiny_policy(seed=2)
        steps = list(train(policy, reference, brightness, ToyPrompts(PROMPTS), config))
        trained.append(torch.nn.utils.parameters_to_vector(policy.showo.parameters()).detach())
        kls = [step.metrics["kl"] for step in steps]
        if reference is not None:
            assert kls[0] == pytest.approx(0, abs=1e-6)
            assert kls[-1] > 1e-5
            assert all(value > 0 for value in steps[-1].credit["kl"])
        else:
            assert all(kl != kl for kl in kls)  # noqa: PLR0124
    assert torch.equal(*trained)
