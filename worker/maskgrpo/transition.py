"""The transition log-probability of one unmasking step, by six definitions. Knows log-probabilities, no policy.

Every function works on M transitions at once (rollouts, or rollouts x steps) with ragged rows: only the positions that
a definition reads need a distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.schemas.algorithm import MaskGRPOConfig, TransitionDefinition
from backend.schemas.objective import SelectionForm
from worker.maskgrpo.choice import (
    log_probabilities_of_order,
    log_probability_of_set,
    log_probability_of_set_over_draws,
)

LOG_TINY = math.log(torch.finfo(torch.float32).tiny)
"""The least log-mass below the threshold: the log of the smallest normal float32, instead of minus infinity."""
_PLAIN = {
    TransitionDefinition.CANDIDATE_1_SELECTION: TransitionDefinition.CANDIDATE_2,
    TransitionDefinition.CANDIDATE_2_SELECTION: TransitionDefinition.CANDIDATE_2,
    TransitionDefinition.AUTOREGRESSIVE_SELECTION: TransitionDefinition.AUTOREGRESSIVE,
}
"""The definitions with a selection term, and what it is added to."""
LEAST_TEMPERATURE = 1e-9
"""At less noise the choice follows from the draws: float32 log-probabilities cannot resolve what it would decide, and
their differences over the temperature leave float64. The compounding schedule gets there in its last steps."""


@dataclass(frozen=True)
class Choice:
    """How M transitions chose what they kept."""

    temperature: Tensor  # (M,) float32: the weight of the Gumbel noise.
    order: Tensor  # (M, N) int64: the place in the choice, from 0; read where newly unmasked.


@dataclass(frozen=True)
class TermOptions:
    """What modifies a definition; the defaults leave it exact."""

    form: SelectionForm = SelectionForm.SET
    temperature_floor: float = 0.0
    log_mass_floor: float = LOG_TINY


EXACT = TermOptions()


def term_options(config: MaskGRPOConfig) -> TermOptions:
    """The options that a configuration sets."""
    floor = config.candidate_1.mass_floor
    return TermOptions(
        form=config.selection_term.form,
        temperature_floor=config.selection_term.temperature_floor,
        log_mass_floor=max(LOG_TINY, math.log(floor)) if floor > 0 else LOG_TINY,
    )


def is_read(is_masked: Tensor, is_newly_unmasked: Tensor, definition: TransitionDefinition) -> Tensor:
    """Says at which positions the definition needs a distribution, (M, N) bool; arguments as `has_term`."""
    return is_newly_unmasked if definition is TransitionDefinition.CANDIDATE_2 else is_masked


def has_term(is_masked: Tensor, is_newly_unmasked: Tensor, definition: TransitionDefinition) -> Tensor:
    """Says which positions have a term in the sum.

    Args:
        is_masked: (M, N) bool, True where the position was masked before the step.
        is_newly_unmasked: (M, N) bool, True where the step kept the draw; a subset of `is_masked`.
        definition: candidate 1 and the autoregressive ones have a term at all masked positions, the others at the
            newly unmasked ones, which carry the selection term too.

    Returns:
        (M, N) bool.
    """
    plain = _PLAIN.get(definition, definition)
    return is_newly_unmasked if plain is TransitionDefinition.CANDIDATE_2 else is_masked


def transition_terms(
    log_probs: Tensor,
    rows: Tensor,
    drawn: Tensor,
    is_newly_unmasked: Tensor,
    definition: TransitionDefinition,
    choice: Choice | None = None,
    options: TermOptions = EXACT,
) -> Tensor:
    """Gives the terms of the transition log-prob by position (paper, section 3.2).

        autoregressive:  log p_i(x_i) at every masked i
        candidate 2:     log p_i(x_i) at every newly unmasked i
        candidate 1:     candidate 2, and log sum_v p_j(v) [p_j(v) < min_i p_i(x_i)] at every newly remasked j,
                         the minimum over the newly unmasked i of the same transition

    Candidate 1 is the probability that these tokens were drawn and that every remasked position drew something less
    confident than all the kept ones; exact when the choice has no noise. A tie with the threshold is not below it.
    With `_selection` the probability of the noisy choice is added at the newly unmasked (docs/algorithm.md, 2.1):

        candidate_1_selection:     log P(next state | state): the remasked draws are summed out
        candidate_2_selection:     log P(kept draws, choice | state, remasked draws)
        autoregressive_selection:  log P(all draws, choice | state)

    Args:
        log_probs: (R, K) float, log-softmax of the masked positions that the definition reads.
        rows: (R,) int64, their flat places in M * N, none twice.
        drawn: (M, N) int64 in [0, K], the code drawn there; read at `rows` only.
        is_newly_unmasked: (M, N) bool, True where the step kept the draw.
        definition: which of the six.
        choice: temperature and order of the choice; needed by the last three.
        options: form and bounds; the defaults are exact.

    Returns:
        (M, N) of the dtype of `log_probs`, 0 where the position has no term, never below `LOG_TINY` for a remasked one.

    Raises:
        ValueError: a definition with a selection term, and no choice.
    """
    drawn_log_prob = log_probs.gather(1, drawn.flatten()[rows][:, None]).squeeze(1)
    is_kept = is_newly_unmasked.flatten()[rows]
    plain = _PLAIN.get(definition, definition)
    if plain is TransitionDefinition.CANDIDATE_1:
        remasked = _mass_below_threshold(log_probs, rows, drawn_log_prob, is_newly_unmasked, options)
        return _by_position(torch.where(is_kept, drawn_log_prob, remasked), rows, drawn, 0.0)
    by_position = _by_position(drawn_log_prob, rows, drawn, 0.0)
    is_term = torch.ones_like(is_newly_unmasked) if plain is TransitionDefinition.AUTOREGRESSIVE else is_newly_unmasked
    terms = by_position.masked_fill(~is_term, 0.0)
    if definition is plain:
        return terms
    if choice is None:
        raise ValueError(f"{definition} has a selection term: give the temperature and the order of the choice")
    temperature = choice.temperature.clamp(min=options.temperature_floor)
    if definition is TransitionDefinition.CANDIDATE_1_SELECTION:
        return terms + _choice_over_draws(log_probs, rows, by_position, is_newly_unmasked, temperature, options)
    is_masked = torch.zeros_like(is_newly_unmasked).flatten().index_fill(0, rows, True).view(drawn.shape)
    return terms + _choice_given_draws(
        by_position, is_masked, is_newly_unmasked, temperature, choice.order, options.form
    )


def transition_log_prob(
    log_probs: Tensor,
    rows: Tensor,
    drawn: Tensor,
    is_newly_unmasked: Tensor,
    definition: TransitionDefinition,
    choice: Choice | None = None,
    options: TermOptions = EXACT,
) -> Tensor:
    """Sums `transition_terms`, whose arguments it takes, to the (M,) transition log-probs."""
    return transition_terms(log_probs, rows, drawn, is_newly_unmasked, definition, choice, options).sum(dim=1)


def _mass_below_threshold(
    log_probs: Tensor, rows: Tensor, drawn_log_prob: Tensor, is_newly_unmasked: Tensor, options: TermOptions
) -> Tensor:
    """Gives (R,) log-masses below the least confidence kept, of all rows; those of kept positions mean nothing."""
    is_kept = is_newly_unmasked.flatten()[rows]
    like = is_newly_unmasked
    confidence = _by_position(drawn_log_prob.detach().masked_fill(~is_kept, math.inf), rows, like, math.inf)
    threshold = confidence.amin(dim=1)[rows // like.shape[1]]
    # The threshold is a draw's own probability, so it moves with the parameters; as an indicator it has no gradient.
    return log_mass_below(log_probs, threshold, options.log_mass_floor)


def _choice_given_draws(
    drawn_log_prob: Tensor,
    is_masked: Tensor,
    is_newly_unmasked: Tensor,
    temperature: Tensor,
    order: Tensor,
    form: SelectionForm,
) -> Tensor:
    """Gives the (M, N) selection terms given all draws; without noise, or with nothing remasked, they are 0."""
    is_noisy = (temperature > LEAST_TEMPERATURE) & (is_masked & ~is_newly_unmasked).any(dim=1)
    # Without noise the choice follows from the draws: the rates are then not read, and any divisor will do.
    log_rates = drawn_log_prob.double() / temperature.double().masked_fill(~is_noisy, 1.0)[:, None]
    if form is SelectionForm.ORDER:
        terms = log_probabilities_of_order(log_rates, is_masked, is_newly_unmasked, order)
    else:
        terms = _spread(log_probability_of_set(log_rates, is_masked, is_newly_unmasked), is_newly_unmasked)
    return terms.masked_fill(~is_noisy[:, None], 0.0).to(drawn_log_prob.dtype)


def _choice_over_draws(
    log_probs: Tensor,
    rows: Tensor,
    drawn_log_prob: Tensor,
    is_newly_unmasked: Tensor,
    temperature: Tensor,
    options: TermOptions,
) -> Tensor:
    """Gives the (M, N) selection terms, the remasked draws summed out; without noise it is candidate 1's second sum."""
    num_tokens = is_newly_unmasked.shape[1]
    is_noisy = temperature > LEAST_TEMPERATURE
    is_remasked = ~is_newly_unmasked.flatten()[rows]
    noisy = (is_remasked & is_noisy[rows // num_tokens]).nonzero().squeeze(1)
    sharp = temperature.double().masked_fill(~is_noisy, 1.0)
    log_rates = drawn_log_prob.double() / sharp[:, None]
    value = log_probability_of_set_over_draws(log_probs[noisy], rows[noisy], log_rates, is_newly_unmasked, sharp)
    drawn_at_rows = drawn_log_prob.flatten()[rows]
    quiet = _mass_below_threshold(log_probs, rows, drawn_at_rows, is_newly_unmasked, options)
    quiet = quiet.masked_fill(~(is_remasked & ~is_noisy[rows // num_tokens]), 0.0)
    value = value.index_add(0, rows // num_tokens, quiet.double())
    return _spread(value, is_newly_unmasked).to(log_probs.dtype)


def _spread(values: Tensor, is_newly_unmasked: Tensor) -> Tensor:
    """Shares (M,) values out evenly over the newly unmasked of (M, N)."""
    shares = values / is_newly_unmasked.sum(dim=1)
    return torch.where(is_newly_unmasked, shares[:, None], 0.0)


def log_mass_below(log_probs: Tensor, threshold: Tensor, floor: float = LOG_TINY) -> Tensor:
    """Gives log sum_v p(v) [log p(v) < threshold] of each row, in log-space.

    Args:
        log_probs: (R, K) float log-softmax.
        threshold: (R,) of the same dtype, a log-probability.
        floor: the least log-mass, at least `LOG_TINY`.

    Returns:
        (R,), at least `floor`; there the gradient is 0, elsewhere finite.
    """
    is_below = log_probs.detach() < threshold[:, None]
    is_some_below = is_below.any(dim=1)
    # A row with nothing below would be a logsumexp of minus infinities, whose gradient is NaN: it is taken out first.
    below = log_probs.masked_fill(~is_below & is_some_below[:, None], -math.inf)
    mass = below.logsumexp(dim=1)
    return mass.masked_fill(~is_some_below, floor).clamp(min=floor)


def _by_position(values: Tensor, rows: Tensor, like: Tensor, fill: float) -> Tensor:
    """Lays (R,) values at their flat places in a tensor of the (M, N) shape of `like`, `fill` elsewhere."""
    empty = values.new_full((like.numel(),), fill)
    return empty.index_copy(0, rows, values).view(like.shape)
