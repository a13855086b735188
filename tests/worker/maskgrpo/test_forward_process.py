"""The forward-process loss: its states, its old log-probs, and that it learns."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

from backend.schemas.algorithm import RatioLevel
from backend.schemas.config import TrainConfig
from backend.schemas.objective import ForwardProcessConfig, MaskRatioSchedule, Objective
from tests.worker.maskgrpo.toys import ToyPolicy, ToyPrompts, brightness, toy_config
from worker.maskgrpo.collection import Collector
from worker.maskgrpo.forward_process import mask_ratios, remasked_states
from worker.maskgrpo.gradient import accumulate, with_old_terms
from worker.maskgrpo.sample_filter import SampleFilter
from worker.maskgrpo.trainer import train
from worker.maskgrpo.types import Group

PROMPTS = ["a red circle", "two stars"]


def forward_config(
    grpo: dict[str, Any] | None = None, sampling: dict[str, Any] | None = None, **settings: Any
) -> TrainConfig:
    chosen = {"objective": Objective.FORWARD_PROCESS, "ratio": RatioLevel.TOKEN}
    return toy_config(
        grpo=chosen | {"forward_process": ForwardProcessConfig(**settings)} | (grpo or {}), sampling=sampling
    )


def rolled_out(policy: ToyPolicy, config: TrainConfig) -> tuple[Group, ...]:
    return Collector(policy, brightness, config).collect(PROMPTS, 0, SampleFilter(config.grpo.filter)).groups


@pytest.mark.parametrize(
    ("schedule", "expected"),
    # The uniform numbers of seed 0 are .4963 and .7682; arccos(.2) is 1.3694.
    [
        (MaskRatioSchedule.EVEN, [0.6, 1.0]),
        (MaskRatioSchedule.UNIFORM, [0.2 + 0.8 * 0.4963, 0.2 + 0.8 * 0.7682]),
        (MaskRatioSchedule.COSINE, [math.cos(1.3694 * 0.4963), math.cos(1.3694 * 0.7682)]),
    ],
)
def test_mask_ratios_by_hand(schedule: MaskRatioSchedule, expected: list[float]) -> None:
    settings = ForwardProcessConfig(num_remaskings=2, schedule=schedule, least_mask_ratio=0.2)
    found = mask_ratios(settings, torch.Generator().manual_seed(0))
    assert found.tolist() == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("schedule", list(MaskRatioSchedule))
def test_no_ratio_is_under_the_least_or_over_1(schedule: MaskRatioSchedule) -> None:
    settings = ForwardProcessConfig(num_remaskings=64, schedule=schedule, least_mask_ratio=0.6)
    found = mask_ratios(settings, torch.Generator().manual_seed(3))
    assert found.min() >= 0.6 - 1e-6
    assert found.max() <= 1 + 1e-6


def test_the_states_are_the_final_pictures_with_as_many_masked_as_the_ratio_says() -> None:
    policy, config = ToyPolicy(), forward_config(num_remaskings=3, least_mask_ratio=0.4)
    groups = rolled_out(policy, config)
    states = remasked_states(groups, config, policy.codebook_size)
    # Ratios .6, .8 and 1 of six tokens, rounded up; masked before the three unmasking steps are 6, 5 and 3.
    is_masked = states.codes == policy.codebook_size
    assert is_masked.sum(dim=1).tolist() == [4, 5, 6] * 8
    assert states.step.tolist() == [2, 1, 0] * 8
    final = torch.cat([group.trajectory.codes for group in groups]).repeat_interleave(3, dim=0)
    assert torch.equal(states.codes[~is_masked], final[~is_masked])
    assert torch.equal(states.drawn, final)
    assert torch.equal(states.has_term, is_masked)
    assert states.prompts == (PROMPTS[0],) * 12 + (PROMPTS[1],) * 12
    assert states.advantages[:3].tolist() == [groups[0].advantages[0].item()] * 3
    assert len({tuple(row) for row in is_masked[0::3].tolist()}) > 1, "each picture has masks of its own"


def test_masks_are_the_same_whenever_and_beside_whomever_they_are_drawn() -> None:
    policy, config = ToyPolicy(), forward_config(schedule=MaskRatioSchedule.UNIFORM)
    groups = rolled_out(policy, config)
    together = remasked_states(groups, config, 5).codes
    assert torch.equal(together, remasked_states(groups, config, 5).codes)
    assert torch.equal(together[16:], remasked_states(groups[1:], config, 5).codes)


def test_old_terms_are_the_log_probs_of_the_final_codes_on_those_states() -> None:
    policy, config = ToyPolicy(), forward_config(num_remaskings=2)
    in_parts = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"num_micro_batches": 3})})
    states = with_old_terms(policy, remasked_states(rolled_out(policy, config), config, 5), in_parts)
    with torch.no_grad():
        log_probs = policy.code_logits(policy.prefix(states.prompts), states.codes).log_softmax(dim=2)
    expected = log_probs.gather(2, states.drawn[:, :, None]).squeeze(2).masked_fill(~states.has_term, 0.0)
    torch.testing.assert_close(states.old_terms, expected)
    assert states.old_terms.ne(0).any(dim=1).all()


@pytest.mark.parametrize("num_unmasking_steps", [1, 3])
def test_the_loss_is_minus_the_mean_of_advantage_times_ratio_by_hand(num_unmasking_steps: int) -> None:
    """Another policy than the old one, ratios by token, nothing clipped; also where the rollout has one step."""
    policy = ToyPolicy(dtype=torch.float64)
    sampling = {"num_unmasking_steps": num_unmasking_steps}
    config = forward_config({"clip_low": 0.99, "clip_high": 9.0}, sampling, num_remaskings=2)
    states = with_old_terms(policy, remasked_states(rolled_out(policy, config), config, 5), config)
    other = ToyPolicy(seed=1, dtype=torch.float64)
    other.load_state_dict({name: 0.98 * value for name, value in policy.state_dict().items()})
    loss = accumulate(other, None, states, len(states), config).loss.item()
    with torch.no_grad():
        log_probs = other.code_logits(other.prefix(states.prompts), states.codes).log_softmax(dim=2)
    ratio = (log_probs.gather(2, states.drawn[:, :, None]).squeeze(2) - states.old_terms).exp()
    by_state = (ratio * states.has_term).sum(dim=1) / states.has_term.sum(dim=1)
    assert loss == pytest.approx(-(by_state * states.advantages).mean().item(), rel=1e-6)


def test_the_ratio_is_1_before_the_first_update_and_the_old_policy_stays_through_the_epochs() -> None:
    ratios = []
    for num_epochs in (1, 3):
        config = forward_config({"num_epochs": num_epochs}, sampling={"guidance_scale": 1.5})
        ratios.append(next(train(ToyPolicy(), None, brightness, ToyPrompts(), config)).metrics["ratio/mean"])
    assert ratios[0] == pytest.approx(1, abs=1e-5)
    assert abs(ratios[1] - 1) > 1e-4


def test_the_loss_knows_no_guidance_whatever_the_rollout_s() -> None:
    policy, config = ToyPolicy(), forward_config(sampling={"guidance_scale": 3.0})
    unguided = forward_config()
    groups = rolled_out(policy, config)
    states = remasked_states(groups, config, 5)
    gradients = []
    for each in (config, unguided):
        policy.zero_grad()
        accumulate(policy, None, with_old_terms(policy, states, config), len(states), each)
        gradients.append(policy.head.grad.clone())  # type: ignore[union-attr]
    assert torch.equal(*gradients)
    assert gradients[0].norm() > 0


def test_the_policy_learns_what_is_rewarded_by_guided_rollouts_too() -> None:
    for scale in (0.0, 1.0):
        config = forward_config({"num_epochs": 2}, sampling={"guidance_scale": scale}, num_remaskings=3)
        config = config.model_copy(
            update={
                "num_steps": 15,
                "rollout": config.rollout.model_copy(update={"num_prompts": 4, "group_size": 8}),
                "optimizer": config.optimizer.model_copy(update={"learning_rate": 0.05}),
            }
        )
        rewards = [step.metrics["reward/mean"] for step in train(ToyPolicy(), None, brightness, ToyPrompts(), config)]
        assert sum(rewards[-3:]) / 3 > 1.8 > rewards[0]


def test_the_kl_is_measured_and_weighted_on_the_same_states() -> None:
    reference = ToyPolicy()
    for beta in (0.0, 0.1):
        config = forward_config({"kl_beta": beta})
        steps = list(train(copy.deepcopy(reference), reference, brightness, ToyPrompts(), config))
        assert steps[0].metrics["kl"] == pytest.approx(0, abs=1e-6)
        assert steps[-1].metrics["kl"] > 1e-6


def test_micro_batches_change_nothing_but_memory() -> None:
    trained = []
    for num_parts in (1, 5):
        config = forward_config({"num_epochs": 2})
        config = config.model_copy(
            update={"optimizer": config.optimizer.model_copy(update={"num_micro_batches": num_parts})}
        )
        policy = ToyPolicy(dtype=torch.float64)
        list(train(policy, None, brightness, ToyPrompts(), config))
        trained.append(torch.nn.utils.parameters_to_vector(policy.parameters()).detach())
    torch.testing.assert_close(*trained, atol=1e-8, rtol=0)
