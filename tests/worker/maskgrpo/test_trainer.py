"""The training step as a generator: what it yields, that it learns, that it resumes bit for bit."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.schemas.algorithm import RatioLevel, StepSelection, TransitionDefinition
from backend.schemas.event import event_body_adapter
from tests.worker.maskgrpo.toys import ToyPolicy, ToyPrompts, brightness, toy_config
from worker.maskgrpo.advantage import RewardNotFiniteError
from worker.maskgrpo.trainer import TrainerState, train
from worker.maskgrpo.types import Rewards, TrainStep

CLOCKS = ("seconds/rollout", "seconds/reward", "seconds/update", "throughput/samples_per_second")


def vector(policy: ToyPolicy) -> Tensor:
    return torch.nn.utils.parameters_to_vector(policy.parameters()).detach()


def numbers(step: TrainStep) -> str:
    """All of a step that must not depend on the clock, NaN included."""
    metrics = {name: value for name, value in step.metrics.items() if name not in CLOCKS}
    codes = [group.trajectory.codes.tolist() for group in step.groups]
    return json.dumps([step.step, metrics, step.credit, step.alarms, codes])


@pytest.mark.parametrize(
    ("definition", "level", "temperature"),
    [
        (TransitionDefinition.CANDIDATE_2, RatioLevel.MEAN, 1.0),
        (TransitionDefinition.CANDIDATE_2, RatioLevel.TOKEN, 1.0),
        (TransitionDefinition.CANDIDATE_1, RatioLevel.SEQUENCE, 0.0),
    ],
)
def test_the_policy_learns_what_is_rewarded(
    definition: TransitionDefinition, level: RatioLevel, temperature: float
) -> None:
    config = toy_config(
        num_steps=15,
        grpo={"transition": definition, "ratio": level, "num_epochs": 2},
        sampling={"temperature": temperature},
        optimizer={"learning_rate": 0.05},
        rollout={"num_prompts": 4, "group_size": 8},
    )
    rewards = [step.metrics["reward/mean"] for step in train(ToyPolicy(), None, brightness, ToyPrompts(), config)]
    assert rewards[0] < 1.4
    assert sum(rewards[-3:]) / 3 > 1.8


def test_a_step_reports_every_metric_and_credit_for_every_unmasking_step() -> None:
    step = next(train(ToyPolicy(), None, brightness, ToyPrompts(), toy_config()))
    assert step.step == 1
    assert set(step.metrics) == {
        "reward/mean", "reward/std_within", "reward/std_between", "reward/brightness", "advantage/std", "loss", "kl",
        "ratio/mean", "ratio/clipped_share", "entropy", "gradient_norm", "learning_rate", "log_prob", "log_prob_gap",
        "diversity", "near_duplicates", "filter/rate", "filter/threshold", "filter/resampled_share", "groups/kept",
        *CLOCKS,
    }  # fmt: skip
    assert set(step.credit) == {"ratio", "clipped_share", "kl", "log_prob", "gradient_share"}
    assert all(len(values) == 3 for values in step.credit.values())
    assert sum(step.credit["gradient_share"]) == pytest.approx(1)
    mean = torch.cat([group.rewards.total for group in step.groups]).mean().item()
    assert step.metrics["reward/mean"] == pytest.approx(mean)
    assert step.metrics["reward/brightness"] == pytest.approx(mean / 2)


def test_steps_that_are_not_selected_have_no_credit() -> None:
    config = toy_config(grpo={"step_selection": StepSelection.LAST, "num_selected_steps": 1})
    credit = next(train(ToyPolicy(), None, brightness, ToyPrompts(), config)).credit
    assert [math.isnan(value) for value in credit["ratio"]] == [True, True, False]
    assert credit["gradient_share"] == (0, 0, pytest.approx(1))


@pytest.mark.parametrize("num_before", [0, 1, 2])
def test_a_run_that_is_resumed_equals_the_run_left_alone_bit_for_bit(num_before: int) -> None:
    config = toy_config(
        num_steps=4,
        grpo={"num_epochs": 2, "step_selection": StepSelection.RANDOM, "num_selected_steps": 2, "filter": {}},
        optimizer={"ema_decay": 0.9, "num_warmup_steps": 2, "schedule": "cosine"},
    )
    alone = ToyPolicy()
    undisturbed = [numbers(step) for step in train(alone, None, brightness, ToyPrompts(), config)]
    first, prompts = ToyPolicy(), ToyPrompts()
    state = TrainerState(first, prompts, config)
    steps = train(first, None, brightness, prompts, config, state)
    for _ in range(num_before):
        next(steps)
    saved = copy.deepcopy(state.state_dict())
    next(steps)  # Work that is lost in the crash must not leak into the saved state.
    resumed, prompts = ToyPolicy(seed=99), ToyPrompts()
    state = TrainerState(resumed, prompts, config)
    state.load_state_dict(saved)
    rest = [numbers(step) for step in train(resumed, None, brightness, prompts, config, state)]
    assert rest == undisturbed[num_before:]
    assert torch.equal(vector(resumed), vector(alone))


def test_steps_without_any_gradient_leave_the_policy_alone_and_resume_bit_for_bit() -> None:
    """Equal rewards after the first step: AdamW would still move by the first step's momentum."""

    def rewards_of(policy: ToyPolicy, num_before: int, saved: dict[str, Any] | None) -> tuple[list[str], Tensor, Any]:
        num_made = num_before

        def flat_later(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
            nonlocal num_made
            num_made += 1
            rewards = brightness(pictures, prompts)
            return rewards if num_made == 1 else Rewards(torch.zeros(len(prompts)), rewards.breakdown)

        config = toy_config(num_steps=3, grpo={"num_epochs": 2}, optimizer={"ema_decay": 0.5, "weight_decay": 0.1})
        prompts = ToyPrompts()
        state = TrainerState(policy, prompts, config)
        if saved is not None:
            state.load_state_dict(saved)
        found, after_first = [], None
        for step in train(policy, None, flat_later, prompts, config, state):
            found.append(numbers(step))
            if step.step == 1:
                after_first = copy.deepcopy(state.state_dict())
        return found, vector(policy), after_first

    alone = ToyPolicy()
    undisturbed, ended, after_first = rewards_of(alone, 0, None)
    moved = after_first["optimizer"]["parameters"]
    assert not torch.equal(vector(ToyPolicy()), ended)
    assert all(torch.equal(moved[name], parameter) for name, parameter in alone.named_parameters())
    rest, again, _ = rewards_of(ToyPolicy(seed=99), 1, after_first)
    assert rest == undisturbed[1:]
    assert torch.equal(again, ended)


def test_a_saved_state_is_not_changed_by_later_steps() -> None:
    policy, prompts, config = ToyPolicy(), ToyPrompts(), toy_config(optimizer={"ema_decay": 0.5})
    state = TrainerState(policy, prompts, config)
    steps = train(policy, None, brightness, prompts, config, state)
    next(steps)
    saved = state.state_dict()
    before = str(saved)
    next(steps)
    assert str(saved) == before


def test_a_reward_that_is_no_number_stops_training_by_name() -> None:
    def broken(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
        values = torch.full((len(prompts),), math.nan)
        return Rewards(values, {"broken": values})

    with pytest.raises(RewardNotFiniteError, match=r"8 of 8 pictures .*broken nan"):
        next(train(ToyPolicy(), None, broken, ToyPrompts(), toy_config()))


def test_a_gradient_that_is_no_number_is_not_applied_and_raises_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = ToyPolicy()
    policy.head.register_hook(lambda gradient: gradient * math.nan)
    before = vector(policy).clone()
    step = next(train(policy, None, brightness, ToyPrompts(), toy_config(grpo={"num_epochs": 3})))
    assert torch.equal(vector(policy), before)
    assert [alarm[:2] for alarm in step.alarms] == [("not_a_number", "error")]
    assert "skipped" in step.alarms[0][2]


def test_a_kl_weight_without_a_reference_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kl_beta is 0.1, but there is no reference"):
        next(train(ToyPolicy(), None, brightness, ToyPrompts(), toy_config(grpo={"kl_beta": 0.1})))


def test_vanishing_groups_are_sampled_again_with_other_seeds_within_the_tries() -> None:
    made: list[int] = []

    def flat_at_first(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
        made.append(len(prompts))
        rewards = brightness(pictures, prompts)
        return Rewards(torch.zeros(len(prompts)), rewards.breakdown) if len(made) < 3 else rewards

    config = toy_config(grpo={"filter": {"max_tries": 4}})
    step = next(train(ToyPolicy(), None, flat_at_first, ToyPrompts(), config))
    assert made == [8, 8, 8]
    assert [group.num_tries for group in step.groups] == [3, 3]
    assert all(group.is_kept and group.reason.startswith("kept after 3 tries") for group in step.groups)
    assert step.metrics["filter/resampled_share"] == 2
    assert step.metrics["reward/mean"] == 0, "the mean is that of the first tries"
    first = next(train(ToyPolicy(), None, brightness, ToyPrompts(), toy_config()))
    assert not set(first.groups[0].seeds) & set(step.groups[0].seeds)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"grpo": {"transition": TransitionDefinition.CANDIDATE_1}}, "noisy_candidate_1"),
        ({"grpo": {"objective": "forward_process", "ratio": "sequence", "num_epochs": 2}}, "saturated_ratio"),
        ({"grpo": {"clip_high": 0.5}}, "setting_without_effect"),
        ({"optimizer": {"final_fraction": 0.5}}, "setting_without_effect"),
        ({"alarms": {"gradient_norm_ceiling": 1e-9}}, "exploding_gradient"),
    ],
)
def test_alarms_say_what_to_do(settings: dict[str, Any], code: str) -> None:
    steps = train(ToyPolicy(), None, brightness, ToyPrompts(), toy_config(**settings))
    found = {alarm[0]: alarm for alarm in next(steps).alarms}
    assert code in found
    told = event_body_adapter.validate_python({"type": "alarm", "step": 1} | found[code]._asdict())
    assert told.type == "alarm", "a code that events do not know would end the run"
    _, severity, message, cure, _ = found[code]
    assert severity in ("warning", "error")
    assert message.endswith(".")
    assert cure.endswith(".")
    if code in ("noisy_candidate_1", "saturated_ratio", "setting_without_effect"):
        assert code not in {alarm[0] for alarm in next(steps).alarms}, "settings are named once"


def test_an_entropy_collapse_is_called_one() -> None:
    policy = ToyPolicy()
    steps = train(policy, None, brightness, ToyPrompts(), toy_config())
    assert not next(steps).alarms
    with torch.no_grad():
        policy.head.mul_(50)
    assert "entropy_collapse" in {alarm[0] for alarm in next(steps).alarms}


def test_sound_settings_raise_no_alarm() -> None:
    assert not any(step.alarms for step in train(ToyPolicy(), None, brightness, ToyPrompts(), toy_config()))
