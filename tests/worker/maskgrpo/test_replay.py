"""Transitions taken out of trajectories, and states that are computed once."""

from __future__ import annotations

import torch

from backend.schemas.algorithm import SamplingConfig, TransitionDefinition
from tests.worker.maskgrpo.toys import PROMPTS, ToyPolicy
from worker.maskgrpo.replay import blank_states_first, distinct_states, transitions_of
from worker.maskgrpo.sampling import rollout, rollout_steps

SAMPLING = SamplingConfig(num_unmasking_steps=3)


def test_a_transition_begins_in_the_state_that_its_step_saw() -> None:
    policy = ToyPolicy()
    made = rollout(policy, PROMPTS, [1, 2], SAMPLING)
    steps = list(rollout_steps(policy, PROMPTS, [1, 2], SAMPLING))
    chosen = torch.tensor([[0, 2], [1, 2]])
    advantages = torch.tensor([0.5, -0.5])
    found = transitions_of(made, PROMPTS, advantages, chosen, policy.codebook_size, TransitionDefinition.CANDIDATE_1)
    assert found.prompts == (PROMPTS[0], PROMPTS[0], PROMPTS[1], PROMPTS[1])
    assert found.step.tolist() == [0, 2, 1, 2]
    assert found.advantages.tolist() == [0.5, 0.5, -0.5, -0.5]
    for place, (rollout_index, step_index) in enumerate([(0, 0), (0, 2), (1, 1), (1, 2)]):
        step = steps[step_index]
        is_masked = step.is_masked[rollout_index]
        assert torch.equal(found.codes[place] == policy.codebook_size, is_masked)
        assert torch.equal(found.codes[place][~is_masked], step.drawn[rollout_index][~is_masked])
        assert torch.equal(found.drawn[place], step.drawn[rollout_index])
        assert torch.equal(found.is_newly_unmasked[place], step.is_newly_unmasked[rollout_index])
        assert torch.equal(found.has_term[place], is_masked)


def test_only_blank_states_of_one_prompt_are_one_state() -> None:
    is_blank = torch.tensor([True, False, True, True, False, True, False])
    places = torch.tensor([1, 1, 1, 0, 0, 0, 1])
    states, state_of = distinct_states(is_blank, places)
    assert states.tolist() == [0, 1, 3, 4, 6]
    assert states[state_of].tolist() == [0, 1, 0, 3, 4, 3, 6]


def test_micro_batches_are_in_order_and_none_is_empty() -> None:
    made = rollout(ToyPolicy(), PROMPTS, [1, 2], SAMPLING)
    steps = torch.arange(3).expand(2, -1)
    whole = transitions_of(made, PROMPTS, torch.ones(2), steps, 5, TransitionDefinition.CANDIDATE_2)
    parts = whole.split(4)
    assert [len(part) for part in parts] == [2, 2, 1, 1]
    assert torch.equal(torch.cat([part.step for part in parts]), whole.step)
    assert len(whole.split(100)) == 6


def test_blank_states_of_a_prompt_come_first_side_by_side_and_the_others_keep_their_order() -> None:
    made = rollout(ToyPolicy(), ["a", "b", "a"], [1, 2, 3], SAMPLING)
    steps = torch.arange(3).expand(3, -1)
    whole = transitions_of(made, ["a", "b", "a"], torch.ones(3), steps, 5, TransitionDefinition.CANDIDATE_2)
    assert blank_states_first(whole, 5).tolist() == [0, 6, 3, 1, 2, 4, 5, 7, 8]
