"""The transition log-probability of one unmasking step, by three definitions. Knows log-probabilities, no policy.

Every function works on M transitions at once (rollouts, or rollouts x steps) with ragged rows: only the positions that
a definition reads need a distribution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.schemas.algorithm import TransitionDefinition

LOG_TINY = math.log(torch.finfo(torch.float32).tiny)
"""The least log-mass below the threshold: the log of the smallest normal float32, instead of minus infinity."""


def has_term(is_masked: Tensor, is_newly_unmasked: Tensor, definition: TransitionDefinition) -> Tensor:
    """Says which positions have a term in the sum, and so need a distribution.

    Args:
        is_masked: (M, N) bool, True where the position was masked before the step.
        is_newly_unmasked: (M, N) bool, True where the step kept the draw; a subset of `is_masked`.
        definition: candidate 2 reads the newly unmasked positions, the others all masked ones.

    Returns:
        (M, N) bool.
    """
    return is_newly_unmasked if definition is TransitionDefinition.CANDIDATE_2 else is_masked


def transition_terms(
    log_probs: Tensor, rows: Tensor, drawn: Tensor, is_newly_unmasked: Tensor, definition: TransitionDefinition
) -> Tensor:
    """Gives the terms of the transition log-prob by position (paper, section 3.2).

        autoregressive:  log p_i(x_i) at every masked i
        candidate 2:     log p_i(x_i) at every newly unmasked i
        candidate 1:     candidate 2, and log sum_v p_j(v) [p_j(v) < min_i p_i(x_i)] at every newly remasked j,
                         the minimum over the newly unmasked i of the same transition

    Candidate 1 is the probability that these tokens were drawn and that every remasked position drew something less
    confident than all the kept ones; exact when the choice has no noise. A tie with the threshold is not below it.

    Args:
        log_probs: (R, K) float, log-softmax of the masked positions that the definition reads.
        rows: (R,) int64, their flat places in M * N, none twice.
        drawn: (M, N) int64 in [0, K], the code drawn there; read at `rows` only.
        is_newly_unmasked: (M, N) bool, True where the step kept the draw.
        definition: which of the three.

    Returns:
        (M, N) of the dtype of `log_probs`, 0 where the position has no term, never below `LOG_TINY` for a remasked one.
    """
    drawn_log_prob = log_probs.gather(1, drawn.flatten()[rows][:, None]).squeeze(1)
    if definition is TransitionDefinition.AUTOREGRESSIVE:
        return _by_position(drawn_log_prob, rows, drawn, 0.0)
    is_kept = is_newly_unmasked.flatten()[rows]
    if definition is TransitionDefinition.CANDIDATE_2:
        return _by_position(drawn_log_prob.masked_fill(~is_kept, 0.0), rows, drawn, 0.0)
    confidence = _by_position(drawn_log_prob.detach().masked_fill(~is_kept, math.inf), rows, drawn, math.inf)
    threshold = confidence.amin(dim=1)[rows // drawn.shape[1]]
    # The threshold is a draw's own probability, so it moves with the parameters; as an indicator it has no gradient.
    remasked = log_mass_below(log_probs, threshold)
    return _by_position(torch.where(is_kept, drawn_log_prob, remasked), rows, drawn, 0.0)


def transition_log_prob(
    log_probs: Tensor, rows: Tensor, drawn: Tensor, is_newly_unmasked: Tensor, definition: TransitionDefinition
) -> Tensor:
    """Sums `transition_terms`, whose arguments it takes, to the (M,) transition log-probs."""
    return transition_terms(log_probs, rows, drawn, is_newly_unmasked, definition).sum(dim=1)


def log_mass_below(log_probs: Tensor, threshold: Tensor) -> Tensor:
    """Gives log sum_v p(v) [log p(v) < threshold] of each row, in log-space.

    Args:
        log_probs: (R, K) float log-softmax.
        threshold: (R,) of the same dtype, a log-probability.

    Returns:
        (R,), at least `LOG_TINY`; there the gradient is 0, elsewhere finite.
    """
    is_below = log_probs.detach() < threshold[:, None]
    is_some_below = is_below.any(dim=1)
    # A row with nothing below would be a logsumexp of minus infinities, whose gradient is NaN: it is taken out first.
    below = log_probs.masked_fill(~is_below & is_some_below[:, None], -math.inf)
    mass = below.logsumexp(dim=1)
    return mass.masked_fill(~is_some_below, LOG_TINY).clamp(min=LOG_TINY)


def _by_position(values: Tensor, rows: Tensor, like: Tensor, fill: float) -> Tensor:
    """Lays (R,) values at their flat places in a tensor of the (M, N) shape of `like`, `fill` elsewhere."""
    empty = values.new_full((like.numel(),), fill)
    return empty.index_copy(0, rows, values).view(like.shape)
