"""A step's alarm is told once while it stands, again after its bound was kept, and a resumed run knows what stands."""

from __future__ import annotations

import copy

import torch

from tests.worker.maskgrpo.toys import ToyPolicy, ToyPrompts, brightness, toy_config
from worker.maskgrpo.trainer import TrainerState, train

EXPLODING = {"alarms": {"gradient_norm_ceiling": 1e-9}, "grpo": {"num_epochs": 2}}


def codes_of(step: object) -> list[str]:
    return [alarm[0] for alarm in step.alarms]  # type: ignore[attr-defined]


def test_a_gradient_that_stays_too_large_is_told_with_the_first_step_alone() -> None:
    steps = list(train(ToyPolicy(), None, brightness, ToyPrompts(), toy_config(num_steps=4, **EXPLODING)))
    assert [codes_of(step) for step in steps] == [["exploding_gradient"], [], [], []]
    assert [step.standing for step in steps] == [("exploding_gradient",)] * 4


def test_an_entropy_collapse_is_told_again_only_after_the_entropy_was_back() -> None:
    policy = ToyPolicy()
    steps = train(policy, None, brightness, ToyPrompts(), toy_config(num_steps=6))
    whole = [copy.deepcopy(next(steps))]
    for factor in (50, 1, 0.02, 50, 1):
        with torch.no_grad():
            policy.head.mul_(factor)
        whole.append(next(steps))
    is_told = ["entropy_collapse" in codes_of(step) for step in whole]
    assert is_told == [False, True, False, False, True, False]
    assert ["entropy_collapse" in step.standing for step in whole] == [False, True, True, False, True, True]


def test_a_run_that_goes_on_from_a_checkpoint_repeats_no_alarm_and_forgets_none() -> None:
    config = toy_config(num_steps=4, **EXPLODING)
    first, second = ToyPolicy(), ToyPolicy()
    state = TrainerState(first, ToyPrompts(), config)
    made = next(train(first, None, brightness, state.prompt_source, config, state))
    assert codes_of(made) == ["exploding_gradient"]
    resumed = TrainerState(second, ToyPrompts(), config)
    resumed.load_state_dict(copy.deepcopy(state.state_dict()))
    later = next(train(second, None, brightness, resumed.prompt_source, config, resumed))
    assert (later.step, codes_of(later), later.standing) == (2, [], ("exploding_gradient",))
