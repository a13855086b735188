"""Bradley-Terry with ties after Davidson (1970): one strength a policy, one number for how readily people tie.

With strengths s_i = exp(theta_i) the first wins with probability s_i / d, the second with s_j / d, and neither with
nu sqrt(s_i s_j) / d, where d is the sum of the three numerators. Without any tie, nu is 0 and this is Bradley-Terry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.preferences.figures.intervals import Interval, normal, percentiles, wider
from backend.preferences.figures.votes import Floats, Ints
from backend.preferences.figures.win_rate import Duels

# A normal prior of standard deviation 10 on each log-strength and on log nu. It moves an estimate from a hundred votes
# by less than a thousandth of itself, and keeps finite what the votes alone would send to infinity: the strength of a
# policy that never lost.
PENALTY = 0.01

_MOST_STEPS = 200
_MOST_HALVINGS = 30
_SMALL = 1e-9
_NOTHING = 1e-12


@dataclass(frozen=True)
class Strength:
    """One policy's log-strength; the mean of all is 0."""

    policy: int
    value: float
    interval: Interval
    """raters and prompts drawn anew, and nowhere narrower than the posterior of votes that know of neither"""


@dataclass(frozen=True)
class BradleyTerry:
    """Fitted strengths, the strongest first."""

    strengths: tuple[Strength, ...]
    ties: float
    """nu: two equal policies tie with probability nu / (2 + nu)"""
    ties_interval: Interval | None
    is_separable: bool
    """True = some policies never lost to the rest, never won or never met it: the prior alone says how far they are"""
    num_decided: int
    """votes for either picture; 0 = strengths and `ties` are the prior's alone, for every vote was a tie or both bad"""


def bradley_terry(found: Duels, *, penalty: float = PENALTY) -> BradleyTerry | None:
    """Strengths of the policies that met, with intervals; None where fewer than two did."""
    if not found.policies:
        return None
    numbers = sorted({policy for pair in found.policies for policy in pair})
    place = {policy: index for index, policy in enumerate(numbers)}
    pairs = np.array([[place[first], place[second]] for first, second in found.policies])
    counts, resampled = _three(found.counts)[None], _three(found.resampled)
    has_ties = bool(counts[..., 2].any())
    fitted = fit(counts, pairs, len(numbers), has_ties=has_ties, penalty=penalty)[0]
    # What arithmetic leaves of an exact zero is no strength.
    fitted[np.abs(fitted) < _NOTHING] = 0.0
    drawn = fit(resampled, pairs, len(numbers), has_ties=has_ties, penalty=penalty)
    # A draw in which a policy met nobody says nothing about its strength.
    met = np.zeros((len(drawn), len(numbers)))
    for number, (first, second) in enumerate(pairs):
        met[:, [first, second]] += resampled[:, number].sum(axis=1, keepdims=True)
    drawn[:, :-1] = np.where(met > 0, drawn[:, :-1], np.nan)
    deviations = _deviations(fitted[None], counts, pairs, len(numbers), has_ties=has_ties, penalty=penalty)
    intervals = [
        wider(percentiles(drawn[:, index]), normal(float(fitted[index]), float(deviation)))
        for index, deviation in enumerate(deviations)
    ]
    strengths = [
        Strength(policy, float(fitted[index]), _known(intervals[index])) for index, policy in enumerate(numbers)
    ]
    of_ties = _known(intervals[-1])
    return BradleyTerry(
        strengths=tuple(sorted(strengths, key=lambda each: -each.value)),
        ties=float(np.exp(fitted[-1])) if has_ties else 0.0,
        ties_interval=Interval(float(np.exp(of_ties.low)), float(np.exp(of_ties.high))) if has_ties else None,
        is_separable=not _is_connected(counts[0], pairs, len(numbers)),
        num_decided=int(counts[..., :2].sum()),
    )


def fit(counts: Floats, pairs: Ints, num_policies: int, *, has_ties: bool, penalty: float) -> Floats:
    """Return (B, K + 1): log-strengths with mean 0, and log nu, where each row's posterior is highest.

    Newton's method with halved steps; the posterior is concave, so there is one top. All B are climbed at once.

    Args:
        counts: (B, P, 3) wins of the first, wins of the second, ties, for P pairs of policies.
        pairs: (P, 2) the policies, from 0.
        has_ties: False = nu is 0, and the last column 0 without a meaning.
        penalty: one over the prior's variance; 0 = plain maximum likelihood, which separable votes send to infinity.
    """
    design = _design(pairs, num_policies)
    values = np.zeros((len(counts), num_policies + 1))
    precision, gauge = np.full(num_policies + 1, penalty), _gauge(num_policies, has_ties)
    goal = _posterior(values, counts, design, precision, has_ties)
    for _ in range(_MOST_STEPS):
        chances = _chances(values, design, has_ties)
        gradient, hessian = _slopes(values, counts, design, precision, chances)
        if np.abs(gradient).max(initial=0) <= _SMALL * (1 + counts.sum(axis=(1, 2)).max(initial=0)):
            break
        step = np.linalg.solve(hessian + gauge + 1e-12 * np.eye(num_policies + 1), gradient[..., None])[..., 0]
        step[:, :num_policies] -= step[:, :num_policies].mean(axis=1, keepdims=True)
        size = np.ones((len(counts), 1))
        for _ in range(_MOST_HALVINGS):
            after = _posterior(values + size * step, counts, design, precision, has_ties)
            is_lower = after < goal - 1e-12 * np.abs(goal)
            if not is_lower.any():
                break
            size[is_lower] /= 2
        values, goal = values + size * step, after
    return values


def _deviations(
    values: Floats, counts: Floats, pairs: Ints, num_policies: int, *, has_ties: bool, penalty: float
) -> Floats:
    """Return (K + 1,): the posterior's standard deviations at its top, as if every vote were independent.

    Args:
        values: (1, K + 1), as `fit` gives them of the same (1, P, 3) counts.
    """
    design, precision = _design(pairs, num_policies), np.full(num_policies + 1, penalty)
    _, hessian = _slopes(values, counts, design, precision, _chances(values, design, has_ties))
    spread = np.linalg.inv(hessian[0] + _gauge(num_policies, has_ties) + 1e-12 * np.eye(num_policies + 1))
    # Without what the gauge let the mean vary.
    centre = np.eye(num_policies + 1)
    centre[:num_policies, :num_policies] -= 1 / num_policies
    deviations: Floats = np.sqrt(np.diag(centre @ spread @ centre))
    return deviations


def _gauge(num_policies: int, has_ties: bool) -> Floats:
    """What holds the strengths' mean at 0, of which the likelihood knows nothing, and moves nothing else."""
    gauge = np.zeros((num_policies + 1, num_policies + 1))
    gauge[:num_policies, :num_policies] = 1.0
    gauge[-1, -1] = 0.0 if has_ties else 1.0
    return gauge


def _known(interval: Interval | None) -> Interval:
    assert interval is not None, "a normal interval is always there"
    return interval


def _three(counts: Floats) -> Floats:
    """Counts with both-bad among the ties."""
    return np.concatenate([counts[..., :2], counts[..., 2:].sum(axis=-1, keepdims=True)], axis=-1)


def _design(pairs: Ints, num_policies: int) -> Floats:
    """Return (P, 3, K + 1): each outcome's log-numerator as a linear function of log-strengths and log nu."""
    design = np.zeros((len(pairs), 3, num_policies + 1))
    rows = np.arange(len(pairs))
    for outcome, column in ((0, pairs[:, 0]), (1, pairs[:, 1])):
        design[rows, outcome, column] = 1.0
        design[rows, 2, column] = 0.5
    design[:, 2, -1] = 1.0
    return design


def _log_chances(values: Floats, design: Floats, has_ties: bool) -> Floats:
    """Return (B, P, 3) log-probabilities."""
    logits: Floats = np.einsum("pck,bk->bpc", design, values)
    if not has_ties:
        logits[..., 2] = -1e300
    top = logits.max(axis=-1, keepdims=True)
    logits -= top
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits


def _chances(values: Floats, design: Floats, has_ties: bool) -> Floats:
    return np.exp(_log_chances(values, design, has_ties))


def _posterior(values: Floats, counts: Floats, design: Floats, precision: Floats, has_ties: bool) -> Floats:
    """Return (B,) log-likelihood plus log-prior."""
    logs = np.where(counts > 0, _log_chances(values, design, has_ties), 0.0)
    likelihood: Floats = (counts * logs).sum(axis=(1, 2)) - (precision * values**2).sum(axis=1) / 2
    return likelihood


def _slopes(
    values: Floats, counts: Floats, design: Floats, precision: Floats, chances: Floats
) -> tuple[Floats, Floats]:
    """Return (B, K + 1) gradient and (B, K + 1, K + 1) negative Hessian of the log-posterior."""
    totals = counts.sum(axis=-1, keepdims=True)
    gradient = np.einsum("pck,bpc->bk", design, counts - totals * chances, optimize=True) - precision * values
    expected = totals * chances
    spread = np.einsum("bpc,pck,pcl->bkl", expected, design, design, optimize=True)
    means = np.einsum("bpc,pck->bpk", chances, design)
    between = np.einsum("bpk,bpl->bkl", totals * means, means, optimize=True)
    return gradient, spread - between + np.diag(precision)


def _is_connected(counts: Floats, pairs: Ints, num_policies: int) -> bool:
    """Whether every policy can be reached from every other along wins and ties: Ford's condition (1957)."""
    reach = np.eye(num_policies, dtype=bool)
    for (first, second), (wins, losses, ties) in zip(pairs, counts, strict=True):
        reach[first, second] |= bool(wins + ties)
        reach[second, first] |= bool(losses + ties)
    for middle in range(num_policies):
        reach |= reach[:, [middle]] & reach[[middle], :]
    return bool(reach.all())
