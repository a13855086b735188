"""Under Gumbel noise the selection terms are the probability of the choice: every draw and every order is enumerated.

What is enumerated is compared with the frequencies of the real sampler too.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig, TransitionDefinition
from backend.schemas.objective import SelectionForm
from tests.worker.maskgrpo.toys import ToyPolicy
from worker.maskgrpo.sampling import draw_noise, rollout_steps, unmask
from worker.maskgrpo.transition import Choice, TermOptions, transition_log_prob
from worker.maskgrpo.types import UnmaskingStep

NUM_TOKENS, NUM_CODES, NUM_KEPT = 4, 3, 2
ROWS = torch.arange(NUM_TOKENS)
JOINT = TransitionDefinition.AUTOREGRESSIVE_SELECTION
GIVEN = TransitionDefinition.CANDIDATE_2_SELECTION
MARGINAL = TransitionDefinition.CANDIDATE_1_SELECTION
Outcome = tuple[int, ...]  # The codes after the step, NUM_CODES where masked.


def some_log_probs(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (1.5 * torch.randn(NUM_TOKENS, NUM_CODES, generator=generator, dtype=torch.float64)).log_softmax(dim=1)


def log_prob(
    log_probs: Tensor,
    drawn: Tensor,
    kept: Tensor,
    temperature: float,
    definition: TransitionDefinition,
    form: SelectionForm,
) -> Tensor:
    """(M,) of M transitions from the whole masked state: (M, N) draws, and the (M, n) positions kept, best first."""
    number = len(drawn)
    order = torch.zeros_like(drawn).scatter(1, kept, torch.arange(kept.shape[1]).expand(number, -1))
    is_kept = torch.zeros_like(drawn, dtype=torch.bool).scatter(1, kept, True)
    choice = Choice(torch.full((number,), temperature, dtype=torch.float64), order)
    rows = torch.arange(drawn.numel())
    options = TermOptions(form=form)
    return transition_log_prob(log_probs.repeat(number, 1), rows, drawn, is_kept, definition, choice, options)


def everything(num_kept: int, *, is_ordered: bool) -> tuple[Tensor, Tensor]:
    """Every draw with every choice: (M, N) draws and (M, n) positions kept."""
    choose = itertools.permutations if is_ordered else itertools.combinations
    draws = itertools.product(range(NUM_CODES), repeat=NUM_TOKENS)
    pairs = list(itertools.product(draws, choose(range(NUM_TOKENS), num_kept)))
    return torch.tensor([draw for draw, _ in pairs]), torch.tensor([kept for _, kept in pairs])


def by_outcome(drawn: Tensor, kept: Tensor, values: Tensor) -> dict[Outcome, float]:
    """Sums (M,) values by the state that follows."""
    after = torch.full_like(drawn, NUM_CODES).scatter(1, kept, drawn.gather(1, kept))
    sums: dict[Outcome, float] = defaultdict(float)
    for outcome, value in zip(after.tolist(), values.tolist(), strict=True):
        sums[tuple(outcome)] += value
    return dict(sums)


@pytest.mark.parametrize("temperature", [3.0, 0.7, 0.1])
def test_all_draws_and_orders_have_probability_1_together_and_orders_add_up_to_sets(temperature: float) -> None:
    log_probs = some_log_probs()
    ordered = everything(NUM_KEPT, is_ordered=True)
    unordered = everything(NUM_KEPT, is_ordered=False)
    by_order = log_prob(log_probs, *ordered, temperature, JOINT, SelectionForm.ORDER).exp()
    by_set = log_prob(log_probs, *unordered, temperature, JOINT, SelectionForm.SET).exp()
    assert by_order.sum().item() == pytest.approx(1, abs=1e-9)
    assert by_set.sum().item() == pytest.approx(1, abs=1e-6)
    # Both lists run through the draws alike: 12 orders or 6 sets of each.
    sums = by_order.view(-1, 12)
    for draw, sets in zip(sums, by_set.view(-1, 6), strict=True):
        expected = [
            sum(
                draw[place].item() for place, kept in enumerate(itertools.permutations(range(4), 2)) if set(kept) == one
            )
            for one in map(set, itertools.combinations(range(4), 2))
        ]
        assert sets.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.7, *(pytest.param(other, marks=pytest.mark.slow) for other in (3.0, 0.1))])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_transition_s_own_probability_is_the_sum_over_all_latent_draws(temperature: float, seed: int) -> None:
    log_probs = some_log_probs(seed)
    unordered = everything(NUM_KEPT, is_ordered=False)
    joint = log_prob(log_probs, *unordered, temperature, JOINT, SelectionForm.SET).exp()
    own = log_prob(log_probs, *unordered, temperature, MARGINAL, SelectionForm.SET).exp()
    true = by_outcome(*unordered, joint)
    # The same outcome stands 9 times, once for each draw of the two remasked positions, always with one value.
    claimed = {outcome: total / 9 for outcome, total in by_outcome(*unordered, own).items()}
    assert sum(claimed.values()) == pytest.approx(1, abs=1e-4)
    assert claimed == pytest.approx(true, rel=1e-4, abs=1e-9)


def test_given_the_remasked_draws_it_is_the_joint_without_their_probability() -> None:
    log_probs = some_log_probs()
    drawn, kept = everything(NUM_KEPT, is_ordered=True)
    for form in SelectionForm:
        joint = log_prob(log_probs, drawn, kept, 0.7, JOINT, form)
        given = log_prob(log_probs, drawn, kept, 0.7, GIVEN, form)
        is_kept = torch.zeros_like(drawn, dtype=torch.bool).scatter(1, kept, True)
        remasked = log_probs[ROWS, drawn].masked_fill(is_kept, 0.0).sum(dim=1)
        torch.testing.assert_close(given, joint - remasked)


def sampled(number: int, temperature: float, definition: TransitionDefinition) -> UnmaskingStep:
    """One unmasking step by the real sampler, from the masked state, of as many pictures."""
    noise = draw_noise(range(number), 1, NUM_TOKENS, torch.device("cpu"))
    return unmask(
        some_log_probs().float().repeat(number, 1),
        torch.arange(number * NUM_TOKENS),
        torch.full((number, NUM_TOKENS), NUM_CODES),
        noise.uniform[0],
        temperature * noise.gumbel[0],
        NUM_KEPT,
        definition,
        temperature,
    )


def best_first(made: UnmaskingStep) -> Tensor:
    return torch.where(made.is_newly_unmasked, made.order, NUM_TOKENS).argsort(dim=1)[:, :NUM_KEPT]


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_the_real_sampler_keeps_what_these_say_as_often_as_they_say(temperature: float) -> None:
    number = 40_000
    made = sampled(number, temperature, TransitionDefinition.CANDIDATE_2)
    drawn, orders = everything(NUM_KEPT, is_ordered=True)
    claimed = log_prob(some_log_probs(), drawn, orders, temperature, JOINT, SelectionForm.ORDER).exp()
    expected = by_outcome(drawn, orders, claimed)
    found = by_outcome(made.drawn, best_first(made), torch.ones(number) / number)
    for outcome, probability in expected.items():
        bound = 4.5 * (probability * (1 - probability) / number) ** 0.5 + 1e-6
        assert abs(found.get(outcome, 0.0) - probability) < bound
    first = torch.bincount(best_first(made)[:, 0], minlength=NUM_TOKENS) / number
    by_first = torch.zeros(NUM_TOKENS, dtype=torch.float64).index_add(0, orders[:, 0], claimed)
    torch.testing.assert_close(first.double(), by_first, atol=0.012, rtol=0)


def test_the_sampler_records_the_enumerated_probability_of_the_transition_it_made() -> None:
    made = sampled(200, 0.7, MARGINAL)
    drawn, orders = everything(NUM_KEPT, is_ordered=True)
    claimed = log_prob(some_log_probs(), drawn, orders, 0.7, JOINT, SelectionForm.ORDER).exp()
    expected = by_outcome(drawn, orders, claimed)
    after = torch.where(made.is_newly_unmasked, made.drawn, NUM_CODES)
    true = [expected[tuple(outcome)] for outcome in after.tolist()]
    assert made.log_prob.exp().tolist() == pytest.approx(true, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("definition", [MARGINAL, GIVEN, JOINT])
def test_without_noise_the_selection_terms_are_those_of_the_plain_definitions(
    definition: TransitionDefinition,
) -> None:
    log_probs = some_log_probs()
    drawn, kept = everything(NUM_KEPT, is_ordered=False)
    plain = TransitionDefinition(definition.removesuffix("_selection"))
    for form in SelectionForm:
        found = log_prob(log_probs, drawn, kept, 0.0, definition, form)
        torch.testing.assert_close(found, log_prob(log_probs, drawn, kept, 0.0, plain, form))


@pytest.mark.slow
def test_as_the_noise_fades_the_transition_s_own_probability_becomes_candidate_1() -> None:
    log_probs = some_log_probs()
    drawn, kept = everything(NUM_KEPT, is_ordered=False)
    candidate_1 = log_prob(log_probs, drawn, kept, 0.0, TransitionDefinition.CANDIDATE_1, SelectionForm.SET).exp()
    distances = []
    for temperature in (0.3, 0.03, 0.001):
        own = log_prob(log_probs, drawn, kept, temperature, MARGINAL, SelectionForm.SET).exp()
        distances.append((own - candidate_1).abs().max().item())
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-4


def test_as_the_noise_fades_the_choice_given_the_draws_becomes_certain() -> None:
    log_probs = some_log_probs()
    drawn, kept = everything(NUM_KEPT, is_ordered=False)
    confidence = log_probs[ROWS, drawn]
    is_best = kept.sort(dim=1).values == confidence.topk(NUM_KEPT, dim=1).indices.sort(dim=1).values
    plain = confidence.gather(1, kept).sum(dim=1)
    selection = log_prob(log_probs, drawn, kept, 1e-6, GIVEN, SelectionForm.SET) - plain
    torch.testing.assert_close(selection.exp(), is_best.all(dim=1).double(), atol=1e-4, rtol=0)


def test_along_a_trajectory_the_sampler_records_the_order_of_its_scores() -> None:
    policy = ToyPolicy(num_tokens=6, codebook_size=5)
    sampling = SamplingConfig(num_unmasking_steps=2)
    step = next(rollout_steps(policy, ["two stars"] * 3, [1, 2, 3], sampling))
    noise = draw_noise([1, 2, 3], 2, 6, torch.device("cpu"))
    # Compounding: the first of two steps has half the temperature.
    scores = step.confidence.log() + 0.5 * noise.gumbel[0]
    for row in range(3):
        kept = step.is_newly_unmasked[row].nonzero().squeeze(1)
        in_order = kept[step.order[row][kept].argsort()]
        assert in_order.tolist() == scores[row].topk(len(kept)).indices.tolist()


@pytest.mark.parametrize("temperature", [1e-6, 1e-9, 1e-15, 1e-21, 1e-45])
@pytest.mark.parametrize("definition", [MARGINAL, GIVEN, JOINT])
def test_values_and_gradients_are_finite_however_little_noise_the_schedule_leaves(
    definition: TransitionDefinition, temperature: float
) -> None:
    log_probs = some_log_probs().float().requires_grad_(True)
    drawn, kept = everything(NUM_KEPT, is_ordered=False)
    value = log_prob(log_probs, drawn, kept, temperature, definition, SelectionForm.SET)
    (gradient,) = torch.autograd.grad(value.sum(), log_probs)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
