"""The loss's gradient: against finite differences, by accumulation, and exactly 0 where nothing can be learned."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from backend.schemas.algorithm import RatioLevel, TransitionDefinition
from backend.schemas.config import TrainConfig
from tests.worker.maskgrpo.toys import PROMPTS, ToyPolicy, ToyPrompts, brightness, equal_rewards, toy_config
from worker.maskgrpo.gradient import accumulate
from worker.maskgrpo.replay import Transitions, replay, transitions_of
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.selection import selected_steps
from worker.maskgrpo.trainer import train

ADVANTAGES = torch.tensor([1.2, -0.7, 0.4, -0.9, 0.3, -0.3], dtype=torch.float64)

# The transition's own probability under noise is an integral of 72 passes: its cases are for the slow tests.
DEFINITIONS = [
    pytest.param(each, marks=pytest.mark.slow) if each is TransitionDefinition.CANDIDATE_1_SELECTION else each
    for each in TransitionDefinition
]


def toy_transitions(policy: ToyPolicy, config: TrainConfig) -> Transitions:
    prompts = [PROMPTS[0]] * 3 + [PROMPTS[1]] * 3
    made = rollout(policy, prompts, range(6), config.sampling, config.grpo.transition)
    steps = selected_steps(config.grpo.step_selection, 3, 3, 6, 0, torch.Generator())
    return transitions_of(made, prompts, ADVANTAGES, steps, policy.codebook_size, config.grpo.transition)


def moved(policy: ToyPolicy, scale: float, seed: int = 9) -> ToyPolicy:
    """A policy a little away, so that ratios are not 1."""
    other = copy.deepcopy(policy)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=scale)
    return other


def gradients(policy: ToyPolicy, reference: ToyPolicy | None, transitions: Transitions, config: TrainConfig) -> Tensor:
    policy.zero_grad()
    accumulate(policy, reference, transitions, len(transitions), config)
    return torch.cat([parameter.grad.flatten() for parameter in policy.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("guidance_scale", [0.0, pytest.param(1.5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("level", list(RatioLevel))
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_gradients_agree_with_finite_differences(
    definition: TransitionDefinition, level: RatioLevel, guidance_scale: float
) -> None:
    config = toy_config(
        grpo={"transition": definition, "ratio": level, "kl_beta": 0.1}, sampling={"guidance_scale": guidance_scale}
    )
    old = ToyPolicy(seed=2, dtype=torch.float64)
    policy, reference = moved(old, 0.02), moved(old, 0.1, seed=10)
    transitions = toy_transitions(old, config)
    gradient = gradients(policy, reference, transitions, config)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        size = 1e-6
        losses = [loss_at(policy, reference, transitions, config, sign * size * direction) for sign in (1, -1)]
        slope = (losses[0] - losses[1]) / (2 * size)
        assert slope == pytest.approx((gradient @ direction).item(), rel=1e-4, abs=1e-7)


def loss_at(
    policy: ToyPolicy, reference: ToyPolicy, transitions: Transitions, config: TrainConfig, shift: Tensor
) -> float:
    other = copy.deepcopy(policy)
    vector = torch.nn.utils.parameters_to_vector(policy.parameters()).detach() + shift
    torch.nn.utils.vector_to_parameters(vector, other.parameters())
    return accumulate(other, reference, transitions, len(transitions), config).loss.item()


def test_the_clip_is_at_work_in_those_comparisons() -> None:
    config = toy_config(grpo={"ratio": RatioLevel.SEQUENCE})
    old = ToyPolicy(seed=2, dtype=torch.float64)
    transitions = toy_transitions(old, config)
    metrics = accumulate(moved(old, 0.02), None, transitions, len(transitions), config).metrics
    assert 0 < metrics.clipped_share.mean() < 1


@pytest.mark.parametrize("num_parts", [2, 5, 8])
def test_accumulation_changes_nothing_but_memory(num_parts: int) -> None:
    old = ToyPolicy(seed=2, dtype=torch.float64)
    policy, reference = moved(old, 0.05), moved(old, 0.1, seed=10)
    whole_config = toy_config(grpo={"kl_beta": 0.1})
    parts_config = toy_config(grpo={"kl_beta": 0.1}, optimizer={"num_micro_batches": num_parts})
    transitions = toy_transitions(old, whole_config)
    assert len(transitions.split(num_parts)) == num_parts
    whole = gradients(policy, reference, transitions, whole_config)
    torch.testing.assert_close(gradients(policy, reference, transitions, parts_config), whole, atol=1e-13, rtol=1e-11)
    assert whole.norm() > 1e-3
    _, metrics, squares, _ = accumulate(policy, reference, transitions, len(transitions), whole_config)
    _, of_parts, squares_of_parts, _ = accumulate(policy, reference, transitions, len(transitions), parts_config)
    for name in ("log_prob", "ratio", "clipped_share", "kl"):
        torch.testing.assert_close(getattr(of_parts, name), getattr(metrics, name), atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(squares_of_parts, squares, atol=1e-12, rtol=1e-5)
    assert len(metrics.log_prob.unique()) > 12, "a wrong order would be seen"


def test_one_by_eight_trains_as_eight_by_one() -> None:
    results = []
    for num_parts in (1, 8):
        policy = ToyPolicy(seed=4, dtype=torch.float64)
        config = toy_config(grpo={"num_epochs": 2}, optimizer={"num_micro_batches": num_parts})
        for step in train(policy, None, brightness, ToyPrompts(), config):
            assert step.metrics["gradient_norm"] > 0
        results.append(torch.nn.utils.parameters_to_vector(policy.parameters()).detach())
    torch.testing.assert_close(*results, atol=1e-9, rtol=0)


@pytest.mark.parametrize("is_filtering", [True, False])
def test_groups_without_spread_change_nothing_and_are_reported(is_filtering: bool) -> None:
    policy = ToyPolicy(seed=4)
    before = copy.deepcopy(policy.state_dict())
    config = toy_config(grpo={"filter": {"is_enabled": is_filtering}})
    step = next(train(policy, None, equal_rewards, ToyPrompts(), config))
    assert all(torch.equal(before[name], value) for name, value in policy.state_dict().items())
    assert [alarm[0] for alarm in step.alarms] == ["zero_reward_spread", "everything_filtered"]
    for group in step.groups:
        assert not group.is_kept
        assert "all rewards are 0.300" in group.reason
        assert group.advantages.eq(0).all()


def test_filtered_groups_have_no_part_in_the_gradient() -> None:
    """One group in two has spread: the gradient is half of that of a step with this group alone."""
    config = toy_config()
    policy = ToyPolicy(seed=2, dtype=torch.float64)
    transitions = toy_transitions(policy, config)
    first = transitions.index(torch.arange(9))
    policy.zero_grad()
    accumulate(policy, None, first, 18, config)
    halved = torch.cat([parameter.grad.flatten() for parameter in policy.parameters() if parameter.grad is not None])
    torch.testing.assert_close(halved * 2, gradients(policy, None, first, config))


def test_no_gradient_reaches_the_reference() -> None:
    config = toy_config(grpo={"kl_beta": 0.5})
    policy, reference = ToyPolicy(seed=2), ToyPolicy(seed=3)
    transitions = toy_transitions(policy, config)
    accumulate(policy, reference, transitions, len(transitions), config)
    assert all(parameter.grad is None for parameter in reference.parameters())


def test_replayed_rows_are_only_those_that_the_definition_reads() -> None:
    policy = ToyPolicy(seed=2)
    rows = {}
    for definition in TransitionDefinition:
        transitions = toy_transitions(policy, toy_config(grpo={"transition": definition}))
        rows[definition] = len(replay(policy, transitions, definition, 0.0).rows)
    # 6 rollouts of 6 tokens: each is kept once; masked before the three steps are 6, 5 and 3 positions.
    assert rows.pop(TransitionDefinition.CANDIDATE_2) == 36
    assert set(rows.values()) == {6 * (6 + 5 + 3)}
