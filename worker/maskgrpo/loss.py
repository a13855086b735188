"""The clipped surrogate and the KL penalty over M transitions. Knows log-probabilities, no policy.

Departure 4 from the paper (docs/algorithm.md): log-ratios are bounded before they are exponentiated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.schemas.algorithm import MaskGRPOConfig, RatioLevel, TransitionDefinition
from backend.schemas.objective import Normalisation

MAX_LOG_RATIO = 20.0
"""Beyond it a ratio stands still: exp of an unbounded sum would overflow and turn the gradient into NaN."""


@dataclass(frozen=True)
class TransitionMetrics:
    """What one pass saw of each of M transitions; all without gradients."""

    log_prob: Tensor  # (M,) transition log-prob under the current policy.
    ratio: Tensor  # (M,) current over old; at the token level the mean over its tokens.
    clipped_share: Tensor  # (M,) in [0, 1]: 1 where the clip took the gradient away; at the token level the share.
    kl: Tensor  # (M,) nats a token, k3 against the reference; NaN without one.
    recorded_gap: Tensor  # (M,) nats a term, mean |recomputed - recorded| before the update; NaN where not compared.


def mask_grpo_loss(
    new_terms: Tensor,
    old_terms: Tensor,
    reference_terms: Tensor | None,
    has_term: Tensor,
    advantages: Tensor,
    config: MaskGRPOConfig,
    num_transitions: int,
    is_newly_unmasked: Tensor | None = None,
) -> tuple[Tensor, TransitionMetrics]:
    """Computes the share of M transitions in the loss, minus the paper's objective (Eq. 11-12).

        J = 1/num_transitions sum_m [ min(r_m A_m, clip(r_m, 1 - clip_low, 1 + clip_high) A_m) - kl_beta KL_m ]

    Args:
        new_terms: (M, N) float, terms of the transition log-prob under the current policy; carries the gradient.
        old_terms: (M, N), the same under the policy that sampled.
        reference_terms: (M, N), the same under the frozen reference, or None.
        has_term: (M, N) bool, True where a position has a term; at least one a row.
        advantages: (M,).
        config: ratio level, clip bounds, KL weight.
        num_transitions: what the mean is taken over: all of the step's, so that micro-batches add up exactly and
            filtered groups count with zero gradient.
        is_newly_unmasked: (M, N) bool, where the step kept the draw; read by the separate normalisation only.

    Returns:
        The loss, a scalar, and the metrics.
    """
    surrogate, ratio, clipped_share = clipped_surrogate(
        new_terms, old_terms, has_term, advantages, config, is_newly_unmasked
    )
    kl = new_terms.new_full((new_terms.shape[0],), float("nan"))
    objective = surrogate
    if reference_terms is not None:
        by_token = k3(new_terms, reference_terms, has_term)
        kl = by_token.sum(dim=1) / has_term.sum(dim=1)
        if config.kl_beta:
            weighted = by_token.sum(dim=1) if config.ratio is RatioLevel.SEQUENCE else kl
            objective = surrogate - config.kl_beta * weighted
    metrics = TransitionMetrics(
        new_terms.sum(dim=1).detach(),
        ratio.detach(),
        clipped_share.detach(),
        kl.detach(),
        torch.full_like(kl, float("nan"), requires_grad=False),
    )
    return -objective.sum() / num_transitions, metrics


def clipped_surrogate(
    new_terms: Tensor,
    old_terms: Tensor,
    has_term: Tensor,
    advantages: Tensor,
    config: MaskGRPOConfig,
    is_newly_unmasked: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Computes min(r A, clip(r) A), the ratio r and where the clip took the gradient away, (M,) each.

    sequence: r = exp(sum of the terms' differences); mean: exp of their mean; token: one ratio a term, and the
    transition's surrogate is their mean, its ratio and clipped share are plain means over its terms. Arguments as
    `mask_grpo_loss`.
    """
    differences = (new_terms - old_terms).masked_fill(~has_term, 0.0)
    if config.ratio is RatioLevel.TOKEN:
        surrogate, ratio, is_clipped = _clip(differences, advantages[:, None], config)
        parts = (ratio, is_clipped.to(ratio.dtype))
        ratio, share = (part.masked_fill(~has_term, 0.0).sum(dim=1) / has_term.sum(dim=1) for part in parts)
        return _mean_of_terms(surrogate, has_term, is_newly_unmasked, config), ratio, share
    log_ratio = differences.sum(dim=1)
    if config.ratio is RatioLevel.MEAN:
        log_ratio = _mean_of_terms(differences, has_term, is_newly_unmasked, config)
    surrogate, ratio, is_clipped = _clip(log_ratio, advantages, config)
    return surrogate, ratio, is_clipped.to(ratio.dtype)


def _mean_of_terms(
    values: Tensor, has_term: Tensor, is_newly_unmasked: Tensor | None, config: MaskGRPOConfig
) -> Tensor:
    """Gives the (M,) mean over the terms, or the mean over the newly unmasked plus that over the remasked."""
    parts = [has_term]
    is_candidate_1 = config.transition is TransitionDefinition.CANDIDATE_1
    if is_candidate_1 and config.candidate_1.normalisation is Normalisation.SEPARATE:
        assert is_newly_unmasked is not None, "two kinds of terms have a mean each, but their places are unknown"
        parts = [has_term & is_newly_unmasked, has_term & ~is_newly_unmasked]
    means = [values.masked_fill(~part, 0.0).sum(dim=1) / part.sum(dim=1).clamp(min=1) for part in parts]
    return torch.stack(means).sum(dim=0)


def _clip(log_ratio: Tensor, advantages: Tensor, config: MaskGRPOConfig) -> tuple[Tensor, Tensor, Tensor]:
    ratio = log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    free = ratio * advantages
    bounded = ratio.clamp(1 - config.clip_low, 1 + config.clip_high) * advantages
    return free.minimum(bounded), ratio, bounded < free


def k3(new_terms: Tensor, reference_terms: Tensor, has_term: Tensor) -> Tensor:
    """Estimates KL(policy || reference) by term: exp(d) - d - 1 with d = reference - policy; at least 0.

    Args:
        new_terms: (M, N), with gradient.
        reference_terms: (M, N).
        has_term: (M, N) bool.

    Returns:
        (M, N) nats, 0 where there is no term.
    """
    difference = (reference_terms - new_terms).masked_fill(~has_term, 0.0)
    # Clamped in both places, or the linear part alone would push away from a reference that is far.
    difference = difference.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    # expm1 keeps the small values that exp(d) - 1 would round away.
    return difference.expm1() - difference
