"""The loss's gradient over chosen transitions: the replay's terms, the old policy's, and exact accumulation.

It knows no groups, no optimizer and no other process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from backend.schemas.config import TrainConfig
from backend.schemas.objective import Objective
from worker.maskgrpo import forward_process
from worker.maskgrpo.loss import TransitionMetrics, mask_grpo_loss
from worker.maskgrpo.replay import Replay, Transitions, blank_states_first, replay
from worker.maskgrpo.transition import term_options
from worker.maskgrpo.types import Policy


class Accumulated(NamedTuple):
    """What was added to the parameters' gradients, of M transitions."""

    loss: Tensor  # A scalar.
    metrics: TransitionMetrics  # (M,) each.
    gradient_square: Tensor  # (M,) float32: see PassReport.
    terms: Tensor  # (M, N) float32, without gradient: the policy's as it was.


def replayed(policy: Policy, transitions: Transitions, config: TrainConfig) -> Replay:
    """Recomputes the terms as the objective defines them: the forward-process loss knows no guidance."""
    if config.grpo.objective is Objective.FORWARD_PROCESS:
        return replay(policy, transitions, forward_process.DEFINITION, guidance_scale=0.0)
    return replay(
        policy, transitions, config.grpo.transition, config.sampling.guidance_scale, term_options(config.grpo)
    )


@torch.no_grad()
def with_old_terms(policy: Policy, transitions: Transitions, config: TrainConfig) -> Transitions:
    """The transitions with the terms of the policy as it is, computed as `accumulate` does: before the first update."""
    if not len(transitions):
        return transitions
    order = blank_states_first(transitions, policy.codebook_size)
    parts = transitions.index(order).split(config.optimizer.num_micro_batches)
    terms = torch.cat([replayed(policy, part, config).terms for part in parts])
    return replace(transitions, old_terms=terms[order.argsort()])


def accumulate(
    policy: Policy,
    reference: Policy | None,
    transitions: Transitions,
    num_transitions: int,
    config: TrainConfig,
    *,
    is_first_pass: bool = False,
) -> Accumulated:
    """Adds the loss's gradient to the parameters' `.grad`, micro-batch by micro-batch.

    The micro-batches add up to the gradient of the whole because each is divided by the whole's `num_transitions`.

    Args:
        policy: the policy that is trained.
        reference: the frozen one, where the KL is wanted.
        transitions: M of them; none at all where there are fewer than processes.
        num_transitions: the step's, those of filtered groups included.
        config: the run's.
        is_first_pass: nothing was updated since the rollout, so the policy is itself the old one: its own terms are
            the old terms. Those recorded lie apart by what the arithmetic of another batch rounds, which candidate 1
            in bfloat16 turns into ratios of 100 (departure 7 in docs/algorithm.md); they are measured only.

    Returns:
        The loss, the metrics, the gradient at the logits, and the terms, of the M transitions in their order.
    """
    if not len(transitions):
        nothing = torch.zeros(0, device=transitions.step.device)
        return Accumulated(nothing.sum(), TransitionMetrics(*[nothing] * 5), nothing, transitions.old_terms)
    order = blank_states_first(transitions, policy.codebook_size)
    parts = transitions.index(order).split(config.optimizer.num_micro_batches)
    found = [_accumulate(policy, reference, part, num_transitions, config, is_first_pass) for part in parts]
    back = order.argsort()
    return Accumulated(
        torch.stack([each.loss for each in found]).sum(),
        joined_metrics([each.metrics for each in found], back),
        torch.cat([each.gradient_square for each in found])[back],
        torch.cat([each.terms for each in found])[back],
    )


def pass_for_nothing(policy: Policy, reference: Policy | None, transitions: Transitions, config: TrainConfig) -> None:
    """Makes the passes of a micro-batch, with a gradient of 0: other processes need this one's part of the weights."""
    made = replayed(policy, transitions, config)
    if reference is not None:
        with torch.no_grad():
            replayed(reference, transitions, config)
    made.logits.backward(torch.zeros_like(made.logits))


def _accumulate(
    policy: Policy,
    reference: Policy | None,
    part: Transitions,
    num_transitions: int,
    config: TrainConfig,
    is_first_pass: bool,
) -> Accumulated:
    """As `accumulate`, of one micro-batch."""
    made = replayed(policy, part, config)
    made.logits.retain_grad()
    terms = made.terms.detach()
    reference_terms = None
    if reference is not None:
        with torch.no_grad():
            reference_terms = replayed(reference, part, config).terms
    loss, metrics = mask_grpo_loss(
        made.terms,
        terms if is_first_pass else part.old_terms,
        reference_terms,
        part.has_term,
        part.advantages,
        config.grpo,
        num_transitions,
        part.is_newly_unmasked,
    )
    loss.backward()
    if is_first_pass and config.grpo.objective is Objective.TRAJECTORY:
        metrics = _compared(metrics, part, terms)
    assert made.logits.grad is not None
    by_row = made.logits.grad.square().sum(dim=1).float()
    squares = by_row.new_zeros(len(part)).index_add(0, made.rows // part.codes.shape[1], by_row)
    return Accumulated(loss.detach(), metrics, squares, terms)


def _compared(metrics: TransitionMetrics, transitions: Transitions, terms: Tensor) -> TransitionMetrics:
    """The metrics with the gap between (M, N) terms and those recorded."""
    gap = (terms - transitions.old_terms).abs().masked_fill(~transitions.has_term, 0.0)
    return replace(metrics, recorded_gap=gap.sum(dim=1) / transitions.has_term.sum(dim=1))


def joined_metrics(parts: Sequence[TransitionMetrics], rows: Tensor | None = None) -> TransitionMetrics:
    """The parts' metrics side by side; with (M,) `rows` in that order."""
    whole = (torch.cat([getattr(part, each.name) for part in parts]) for each in fields(TransitionMetrics))
    return TransitionMetrics(*(each if rows is None else each[rows] for each in whole))
