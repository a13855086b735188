"""The probability that the noisy choice keeps what it kept. Knows log-probabilities, no policy.

A step keeps the n masked positions of the greatest log p_i(x_i) + tau G_i, G_i standard Gumbel noise. That is sampling
without replacement: -log of an exponential time of rate w is log w plus Gumbel noise, so the positions come out as
the first n of a race of exponential times with rates w_i = p_i(x_i)^(1/tau). All that is here follows from the race.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_LOG_HAZARD = 30.0
"""Beyond it a time is over for sure: exp(-exp(30)) is 0 in every precision, and its gradient too."""
_RACE_NODES = (-17.0, 8.5, 0.05)
"""First and last log-time, and the step, of the rule in `log_probability_of_set`."""
_QUANTILE_NODES = (-40.0, 14.0, 0.75)
"""First and last log-odds, and the step, of the rule in `log_probability_of_set_over_draws`."""
_NUM_BISECTIONS = 48
_LARGEST_BLOCK = 1 << 22
"""Numbers that `log_probability_of_set_over_draws` holds at once, unless one node alone needs more."""
LEAST_LOG_PROBABILITY = -38.0
"""Below it the rule over quantiles sees only its first node: the probability is floored, its gradient 0."""


def log_probabilities_of_order(
    log_rates: Tensor, is_masked: Tensor, is_newly_unmasked: Tensor, order: Tensor
) -> Tensor:
    """Gives the Plackett-Luce log-probabilities of an ordered choice, given the draws, one for each kept position.

        log w_s(k) - log sum of w_j over the masked j that are not among s(1), ..., s(k-1)

    Args:
        log_rates: (M, N) float, log p_i(x_i) / tau; read where masked.
        is_masked: (M, N) bool.
        is_newly_unmasked: (M, N) bool, a subset.
        order: (M, N) int64, the place in the choice, from 0; read where newly unmasked.

    Returns:
        (M, N) of the same dtype, 0 where nothing was kept; each row's sum is the log-probability of the order.
    """
    num_tokens = log_rates.shape[1]
    place = torch.where(is_newly_unmasked, order, torch.where(is_masked, num_tokens, num_tokens + 1))
    by_place = place.argsort(dim=1, stable=True)
    # A large negative number instead of minus infinity, whose gradient in a running sum is NaN.
    ordered = log_rates.masked_fill(~is_masked, -1e30).gather(1, by_place)
    left = ordered.flip(1).logcumsumexp(dim=1).flip(1)
    terms = torch.zeros_like(log_rates).scatter(1, by_place, ordered - left)
    return terms.masked_fill(~is_newly_unmasked, 0.0)


def log_probability_of_set(log_rates: Tensor, is_masked: Tensor, is_newly_unmasked: Tensor) -> Tensor:
    """Gives the log-probability that these positions are kept, in whatever order, given the draws.

    The first of the remasked positions comes at an exponential time of rate W, the sum of their rates. All kept ones
    are earlier, so P = E[ prod_i (1 - exp(-w_i / W E)) ] with E a standard exponential. Over x = log E the integrand
    exp(x - e^x) prod_i (...) is smooth and falls fast on both sides: the trapezoidal rule is exact to about 1e-7.

    Args:
        log_rates: (M, N) float, log p_i(x_i) / tau; read where masked.
        is_masked: (M, N) bool.
        is_newly_unmasked: (M, N) bool, a subset, at least one a row.

    Returns:
        (M,) float64; 0 where nothing is remasked.
    """
    is_remasked = is_masked & ~is_newly_unmasked
    is_choice = is_remasked.any(dim=1)
    rates = log_rates.double()
    rest = rates.masked_fill(~is_remasked, -1e30).logsumexp(dim=1)
    kept, is_kept = _packed(rates - rest[:, None], is_newly_unmasked)
    nodes = torch.arange(_RACE_NODES[0], _RACE_NODES[1], _RACE_NODES[2], dtype=rates.dtype, device=rates.device)
    earlier = _log_over_by(kept[:, :, None] + nodes).masked_fill(~is_kept[:, :, None], 0.0).sum(dim=1)
    log_probability = (earlier + nodes - nodes.exp()).logsumexp(dim=1) + math.log(_RACE_NODES[2])
    return log_probability.clamp(max=0.0).masked_fill(~is_choice, 0.0)


def log_probability_of_set_over_draws(
    log_probs: Tensor, rows: Tensor, log_rates: Tensor, is_newly_unmasked: Tensor, temperature: Tensor
) -> Tensor:
    """Gives the log-probability that these positions are kept, whatever the remasked ones draw.

    The last of the kept comes at a time t, P(t_max < t) = prod_i (1 - exp(-w_i t)), and every remasked j is later with
    probability sum_v p_j(v) exp(-p_j(v)^(1/tau) t): P = integral of their product over the quantiles of t_max, by the
    trapezoidal rule over the quantile's log-odds. At tau -> 0 it is candidate 1's second term.

    Args:
        log_probs: (R, K) float, log-softmax of the remasked positions.
        rows: (R,) int64, their flat places in M * N, none twice.
        log_rates: (M, N) float, log p_i(x_i) / tau; read where newly unmasked.
        is_newly_unmasked: (M, N) bool, at least one a row.
        temperature: (M,) float, tau, above 0.

    Returns:
        (M,) float64, at least `LEAST_LOG_PROBABILITY`; 0 where nothing is remasked. Exact to about 1e-5.
    """
    start, end, width = _QUANTILE_NODES
    log_odds = torch.arange(start, end, width, dtype=torch.float64, device=log_rates.device)
    log_times = _log_time_quantiles(log_rates.double(), is_newly_unmasked, log_odds)
    transition = rows // log_rates.shape[1]
    hazards = log_probs / temperature.to(log_probs.dtype)[transition][:, None]
    num_at_once = max(1, _LARGEST_BLOCK // max(1, log_probs.numel()))
    blocks = log_times[transition].to(log_probs.dtype).split(num_at_once, dim=1)
    columns = torch.cat([_LogLaterThan.apply(log_probs, hazards, block) for block in blocks], dim=1)
    later = log_times.new_zeros(log_times.shape).index_add(0, transition, columns.double())
    weights = F.logsigmoid(log_odds) + F.logsigmoid(-log_odds) + math.log(width)
    is_choice = torch.zeros_like(log_times[:, 0], dtype=torch.bool).index_fill(0, transition, True)
    log_probability = (later + weights).logsumexp(dim=1).clamp(LEAST_LOG_PROBABILITY, 0.0)
    return log_probability.masked_fill(~is_choice, 0.0)


class _LogLaterThan(torch.autograd.Function):
    """`_log_later_than`, made again in the backward pass: its (R, Q, K) numbers would not fit in memory."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        """Keeps the inputs, which all blocks of nodes but for the times share."""
        ctx.save_for_backward(*inputs)
        return _log_later_than(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """The gradients of the three inputs."""
        with torch.enable_grad():
            inputs = [each.detach().requires_grad_() for each in ctx.saved_tensors]
            return torch.autograd.grad(_log_later_than(*inputs), inputs, gradients)


def _log_later_than(log_probs: Tensor, hazards: Tensor, log_times: Tensor) -> Tensor:
    """Gives (R, Q) log sum_v p(v) exp(-exp(hazard_v + log t)) of (R, K) distributions at (R, Q) log-times."""
    over = (hazards[:, None] + log_times[:, :, None]).clamp(max=MAX_LOG_HAZARD).exp()
    return (log_probs[:, None] - over).logsumexp(dim=2)


def _log_over_by(log_hazard: Tensor) -> Tensor:
    """Gives log(1 - exp(-exp(y))), the log-probability that a time is over, in place of y."""
    bounded = log_hazard.clamp(-MAX_LOG_HAZARD, MAX_LOG_HAZARD)
    # Far to the left it is y itself, which the clamp would hide; the clamp keeps the branch not taken free of NaN.
    return torch.where(log_hazard < -MAX_LOG_HAZARD, log_hazard, (-torch.expm1(-bounded.exp())).log())


def _log_hazard_of(log_probability: Tensor) -> Tensor:
    """Gives the y of `_log_over_by`: log(-log(1 - p)) from log p, without loss near 0 and near 1."""
    near_one = (-(-log_probability.expm1()).log()).log()
    near_zero = (-(-log_probability.exp()).log1p()).log()
    return torch.where(log_probability > -0.7, near_one, near_zero)


def _log_time_quantiles(log_rates: Tensor, is_kept: Tensor, log_odds: Tensor) -> Tensor:
    """Gives (M, Q) log-times at which all kept positions are over with the probabilities of these log-odds.

    Found by bisection between two bounds that the least rate gives; one Newton step carries the gradient.
    """
    kept, is_there = _packed(log_rates, is_kept)
    wanted = F.logsigmoid(log_odds)
    with torch.no_grad():
        least = kept.masked_fill(~is_there, math.inf).amin(dim=1, keepdim=True)
        low = _log_hazard_of(wanted) - least
        # If every one of n is over with probability q^(1/n), all are over with at least q.
        high = _log_hazard_of(wanted / is_there.sum(dim=1, keepdim=True)) - least
        for _ in range(_NUM_BISECTIONS):
            middle = (low + high) / 2
            is_early = _log_all_over(kept, is_there, middle) < wanted
            low, high = torch.where(is_early, middle, low), torch.where(is_early, high, middle)
    found = ((low + high) / 2).detach()
    with torch.enable_grad():
        probe = found.clone().requires_grad_()
        slope = torch.autograd.grad(_log_all_over(kept.detach(), is_there, probe).sum(), probe)[0]
    return found - (_log_all_over(kept, is_there, found) - wanted) / slope


def _log_all_over(kept: Tensor, is_there: Tensor, log_times: Tensor) -> Tensor:
    """Gives (M, Q) log prod_i (1 - exp(-w_i t)) of (M, n) log-rates at (M, Q) log-times."""
    terms = _log_over_by(kept[:, :, None] + log_times[:, None])
    return terms.masked_fill(~is_there[:, :, None], 0.0).sum(dim=1)


def _packed(values: Tensor, is_wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the wanted of (M, N) values to the front of (M, n), n the most a row has, and says where they are."""
    longest = int(is_wanted.sum(dim=1).max())
    places = is_wanted.byte().argsort(dim=1, descending=True, stable=True)[:, :longest]
    is_there = is_wanted.gather(1, places)
    return values.gather(1, places).masked_fill(~is_there, 0.0), is_there
