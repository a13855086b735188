"""The three transition log-probs: published values, hand-computed values, edges and gradients."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from backend.schemas.algorithm import MaskGRPOConfig, TransitionDefinition
from backend.schemas.objective import Candidate1Config, SelectionForm
from worker.maskgrpo.transition import (
    LOG_TINY,
    Choice,
    TermOptions,
    has_term,
    is_read,
    log_mass_below,
    term_options,
    transition_log_prob,
    transition_terms,
)

FIXTURE = Path(__file__).parents[2] / "fixtures" / "showo_case.safetensors"
DEFINITIONS = [TransitionDefinition.CANDIDATE_1, TransitionDefinition.CANDIDATE_2, TransitionDefinition.AUTOREGRESSIVE]
WITH_SELECTION = [definition for definition in TransitionDefinition if definition not in DEFINITIONS]

# One picture of three positions and three codes: 0 and 1 are kept, 2 is remasked.
PROBABILITIES = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.1, 0.4]])
DRAWN = torch.tensor([[0, 1, 2]])
IS_KEPT = torch.tensor([[True, True, False]])


def log_prob(probabilities: Tensor, drawn: Tensor, is_kept: Tensor, definition: TransitionDefinition) -> Tensor:
    is_masked = torch.ones_like(is_kept)
    rows = is_read(is_masked, is_kept, definition).flatten().nonzero().squeeze(1)
    return transition_log_prob(probabilities.log()[rows], rows, drawn, is_kept, definition)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_values_equal_those_computed_by_hand_from_published_logits(definition: TransitionDefinition) -> None:
    case = load_file(FIXTURE)
    rows = has_term(case["is_masked"], case["is_newly_unmasked"], definition).flatten().nonzero().squeeze(1)
    log_probs = case["image_logits"].flatten(0, 1)[rows].log_softmax(dim=1)
    found = transition_log_prob(log_probs, rows, case["sampled_codes"], case["is_newly_unmasked"], definition)
    torch.testing.assert_close(found.double(), case[f"transition_logp_{definition}"], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("definition", "by_hand"),
    [
        (TransitionDefinition.CANDIDATE_2, 0.7 * 0.6),
        (TransitionDefinition.AUTOREGRESSIVE, 0.7 * 0.6 * 0.4),
        # The least confidence kept is .6; the remasked position has .5 + .1 + .4 below it.
        (TransitionDefinition.CANDIDATE_1, 0.7 * 0.6 * 1.0),
    ],
)
def test_values_by_hand(definition: TransitionDefinition, by_hand: float) -> None:
    assert log_prob(PROBABILITIES, DRAWN, IS_KEPT, definition).item() == pytest.approx(math.log(by_hand), abs=1e-6)


def test_candidate_1_takes_the_least_confidence_of_the_kept_not_the_last_or_the_first() -> None:
    is_kept, drawn = torch.tensor([[True, True, False]]), torch.tensor([[2, 1, 1]])
    # Kept: .1 and .6, so only what is under .1 counts at the third position, whose codes have .5, .08 and .42.
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.08, 0.42]])
    found = log_prob(probabilities, drawn, is_kept, TransitionDefinition.CANDIDATE_1)
    assert found.item() == pytest.approx(math.log(0.1 * 0.6 * 0.08), abs=1e-6)


def test_candidate_1_differs_from_candidate_2_in_value_and_gradient() -> None:
    logits = PROBABILITIES.log().clone().requires_grad_()
    drawn, is_kept = torch.tensor([[0, 2, 0]]), torch.tensor([[True, True, False]])
    gradients = []
    for definition in (TransitionDefinition.CANDIDATE_1, TransitionDefinition.CANDIDATE_2):
        rows = has_term(torch.ones_like(is_kept), is_kept, definition).flatten().nonzero().squeeze(1)
        value = transition_log_prob(logits.log_softmax(dim=1)[rows], rows, drawn, is_kept, definition)
        gradients.append((value.item(), torch.autograd.grad(value.sum(), logits)[0]))
    (one, gradient_one), (two, gradient_two) = gradients
    assert one < two - 1
    assert (gradient_one - gradient_two).abs().max() > 0.1


def test_the_last_step_has_no_remasked_position_so_all_three_agree() -> None:
    is_kept = torch.ones(1, 3, dtype=torch.bool)
    values = [log_prob(PROBABILITIES, DRAWN, is_kept, definition).item() for definition in DEFINITIONS]
    assert values == pytest.approx([math.log(0.7 * 0.6 * 0.4)] * 3, abs=1e-6)


def test_a_saturated_remasked_position_is_floored_with_a_finite_gradient() -> None:
    logits = torch.tensor([[0.0, 1.0], [200.0, 0.0]], requires_grad=True)
    drawn, is_kept = torch.tensor([[0, 0]]), torch.tensor([[True, False]])
    log_probs = logits.log_softmax(dim=1)
    terms = transition_terms(log_probs, torch.arange(2), drawn, is_kept, TransitionDefinition.CANDIDATE_1)
    assert terms[0, 1].item() == pytest.approx(LOG_TINY)
    terms.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1].eq(0).all()


def test_a_position_with_nothing_below_the_threshold_is_floored_with_a_finite_gradient() -> None:
    log_probs = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log().requires_grad_()
    mass = log_mass_below(log_probs, torch.tensor([0.5, 0.5]).log())
    assert mass.tolist() == pytest.approx([LOG_TINY, math.log(0.1)], rel=1e-6)
    mass.sum().backward()
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad, torch.tensor([[0.0, 0.0], [0.0, 1.0]]))


def test_a_tie_with_the_threshold_is_not_below_it() -> None:
    threshold = torch.tensor([0.25]).log()
    assert log_mass_below(torch.tensor([[0.25, 0.15, 0.6]]).log(), threshold).exp().item() == pytest.approx(0.15)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_transitions_of_one_batch_do_not_touch_each_other(definition: TransitionDefinition) -> None:
    generator = torch.Generator().manual_seed(3)
    log_probs = torch.randn(4 * 5, 6, generator=generator).log_softmax(dim=1)
    drawn = torch.randint(6, (4, 5), generator=generator)
    is_kept = torch.rand(4, 5, generator=generator).argsort(dim=1) < torch.tensor([[1], [2], [3], [5]])
    rows = has_term(torch.ones_like(is_kept), is_kept, definition).flatten().nonzero().squeeze(1)
    together = transition_log_prob(log_probs[rows], rows, drawn, is_kept, definition)
    alone = [
        log_prob(log_probs[5 * m : 5 * m + 5].exp(), drawn[m : m + 1], is_kept[m : m + 1], definition) for m in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("definition", WITH_SELECTION)
def test_a_selection_term_without_a_choice_is_refused(definition: TransitionDefinition) -> None:
    with pytest.raises(ValueError, match=f"{definition} has a selection term"):
        log_prob(PROBABILITIES, DRAWN, IS_KEPT, definition)


def test_the_selection_term_by_hand() -> None:
    # Temperature 1/2: the rates are the squares .49 and .36 of the kept draws and .16 of the remasked one.
    choice = Choice(torch.tensor([0.5]), torch.tensor([[1, 0, 0]]))
    definition, rows = TransitionDefinition.CANDIDATE_2_SELECTION, torch.arange(3)
    for form, probability in (
        (SelectionForm.ORDER, 0.36 / 1.01 * 0.49 / 0.65),
        (SelectionForm.SET, 0.36 / 1.01 * 0.49 / 0.65 + 0.49 / 1.01 * 0.36 / 0.52),
    ):
        terms = transition_terms(PROBABILITIES.log(), rows, DRAWN, IS_KEPT, definition, choice, TermOptions(form=form))
        assert terms.sum().exp().item() == pytest.approx(0.7 * 0.6 * probability, rel=1e-5)
        assert terms[0, 2] == 0


def test_the_floor_of_the_temperature_softens_the_selection_term() -> None:
    rows, definition = torch.arange(3), TransitionDefinition.CANDIDATE_2_SELECTION
    cold, warm = (Choice(torch.tensor([each]), torch.tensor([[1, 0, 0]])) for each in (0.01, 0.5))
    floored = TermOptions(temperature_floor=0.5)
    found = transition_terms(PROBABILITIES.log(), rows, DRAWN, IS_KEPT, definition, cold, floored)
    torch.testing.assert_close(found, transition_terms(PROBABILITIES.log(), rows, DRAWN, IS_KEPT, definition, warm))


def test_the_floor_of_the_mass_takes_the_gradient_of_unlikely_remaskings_away() -> None:
    # The least confidence kept is .6: .5 + .1 + .4 lie below it at the remasked position; below .55, only .45.
    logits = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.55, 0.35], [0.56, 0.04, 0.4]]).log().requires_grad_()
    rows, definition = torch.arange(3), TransitionDefinition.CANDIDATE_1
    for floor, expected in ((0.2, 0.44), (0.5, 0.5)):
        options = term_options(MaskGRPOConfig(candidate_1=Candidate1Config(mass_floor=floor)))
        terms = transition_terms(logits.log_softmax(dim=1), rows, DRAWN, IS_KEPT, definition, None, options)
        assert terms[0, 2].exp().item() == pytest.approx(expected)
        gradient = torch.autograd.grad(terms.sum(), logits)[0]
        assert bool(gradient[2].any()) == (floor < 0.44)
        assert gradient[:2].any(dim=1).all()
