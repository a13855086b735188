"""At noise 0, candidate 1 is the probability of the transition: every draw is enumerated, with the real sampler."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig, TransitionDefinition
from tests.worker.maskgrpo.toys import ToyPolicy
from worker.maskgrpo.sampling import masked_rows, rollout, unmask
from worker.maskgrpo.schedule import masked_counts
from worker.maskgrpo.types import UnmaskingStep

NUM_TOKENS, NUM_CODES, NUM_STEPS = 4, 3, 3
Outcome = tuple[int, ...]  # The codes after the step, NUM_CODES where masked.


def every_draw(log_probs: Tensor, num_masked: int) -> tuple[Tensor, Tensor]:
    """Uniform numbers (K**U, U) that make the sampler draw every combination of codes, and each one's probability."""
    cumulated = log_probs.exp().cumsum(dim=1)
    middle_of_each_code = (cumulated - log_probs.exp() / 2) / cumulated[:, -1:]
    combinations = torch.tensor(list(itertools.product(range(NUM_CODES), repeat=num_masked)))
    places = torch.arange(num_masked)
    return middle_of_each_code[places, combinations], log_probs.double()[places, combinations].sum(dim=1).exp()


def enumerated_step(
    policy: ToyPolicy, state: Outcome, step: int, definition: TransitionDefinition
) -> tuple[UnmaskingStep, Tensor]:
    """One unmasking step from a state, once for every draw, without noise; and the draws' probabilities."""
    counts = masked_counts(NUM_TOKENS, NUM_STEPS)
    one = torch.tensor([state])
    with torch.no_grad():
        row = masked_rows(one == NUM_CODES, counts[step])
        log_probs = policy.code_logits(policy.prefix(["two stars"]), one, row).log_softmax(dim=1)
    uniform_at_masked, probability = every_draw(log_probs, counts[step])
    codes = one.expand(len(probability), -1).contiguous()
    uniform = torch.zeros(codes.shape).index_copy(1, row, uniform_at_masked)
    rows = masked_rows(codes == NUM_CODES, counts[step])
    repeated = log_probs.repeat(len(probability), 1)
    kept = counts[step] - counts[step + 1]
    return unmask(repeated, rows, codes, uniform, torch.zeros(codes.shape), kept, definition), probability


def outcomes(
    policy: ToyPolicy, state: Outcome, step: int, definition: TransitionDefinition
) -> tuple[dict[Outcome, float], dict[Outcome, float]]:
    """The true probability of every outcome of a step, and what the definition says of it."""
    made, probability = enumerated_step(policy, state, step, definition)
    is_fixed = ~made.is_masked | made.is_newly_unmasked
    after = made.drawn.masked_fill(~is_fixed, NUM_CODES)
    true: dict[Outcome, float] = defaultdict(float)
    claimed: dict[Outcome, float] = {}
    for row in range(len(probability)):
        outcome = tuple(after[row].tolist())
        true[outcome] += probability[row].item()
        claimed[outcome] = made.log_prob[row].exp().item()
    return true, claimed


def mean_difference(definition: TransitionDefinition, policy: ToyPolicy) -> float:
    true, claimed = outcomes(policy, (NUM_CODES,) * NUM_TOKENS, 0, definition)
    return sum(abs(true[outcome] - claimed[outcome]) for outcome in true)


@pytest.mark.parametrize("seed", range(5))
def test_every_outcome_of_every_step_has_the_probability_that_candidate_1_says(seed: int) -> None:
    policy = ToyPolicy(NUM_TOKENS, NUM_CODES, seed=seed)
    states: list[Outcome] = [(NUM_CODES,) * NUM_TOKENS]
    for step in range(NUM_STEPS):
        following: set[Outcome] = set()
        for state in states:
            true, claimed = outcomes(policy, state, step, TransitionDefinition.CANDIDATE_1)
            assert sum(true.values()) == pytest.approx(1, abs=1e-6)
            assert claimed == pytest.approx(dict(true), abs=1e-6, rel=1e-4)
            following |= set(true)
        states = sorted(following)
    assert all(NUM_CODES not in state for state in states)


@pytest.mark.parametrize("definition", [TransitionDefinition.CANDIDATE_2, TransitionDefinition.AUTOREGRESSIVE])
def test_the_other_definitions_are_not_that_probability(definition: TransitionDefinition) -> None:
    policy = ToyPolicy(NUM_TOKENS, NUM_CODES, seed=0)
    assert mean_difference(TransitionDefinition.CANDIDATE_1, policy) < 1e-5
    assert mean_difference(definition, policy) > 0.1


def test_whole_trajectories_come_up_as_often_as_candidate_1_says() -> None:
    policy = ToyPolicy(num_tokens=2, codebook_size=2, seed=1)
    sampling = SamplingConfig(num_unmasking_steps=2, temperature=0)
    num_rollouts = 20_000
    prompts = ["two stars"] * num_rollouts
    made = rollout(policy, prompts, range(num_rollouts), sampling, TransitionDefinition.CANDIDATE_1)
    claimed = made.log_prob.sum(dim=0).exp()
    keys, members, count = torch.cat([made.codes, made.unmasked_at], dim=1).unique(
        dim=0, return_inverse=True, return_counts=True
    )
    probability = torch.zeros(len(keys)).index_copy(0, members, claimed)
    assert probability.sum().item() == pytest.approx(1, abs=1e-4)
    standard_error = (probability * (1 - probability) / num_rollouts).sqrt()
    assert ((count / num_rollouts - probability).abs() < 4.5 * standard_error + 1e-6).all()
