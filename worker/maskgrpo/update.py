"""From kept groups to an optimizer step: replay, loss, exact gradient accumulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from backend.schemas.algorithm import StepSelection
from backend.schemas.config import TrainConfig
from backend.schemas.objective import Objective
from worker.maskgrpo import forward_process
from worker.maskgrpo.loss import TransitionMetrics, mask_grpo_loss
from worker.maskgrpo.optimizer import PolicyOptimizer
from worker.maskgrpo.processes import ALONE, Processes
from worker.maskgrpo.replay import Replay, Transitions, blank_states_first, replay, transitions_of
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.selection import information_gain, selected_steps, window_start
from worker.maskgrpo.transition import term_options
from worker.maskgrpo.types import Group, Policy, Trajectory


@dataclass(frozen=True)
class PassReport:
    """One pass over the kept groups: its loss, its gradient, and what it saw of each of M transitions."""

    loss: float
    gradient_norm: float  # Before clipping; NaN where nothing was kept.
    learning_rate: float
    is_applied: bool  # False when the gradient was 0 or not finite.
    step: Tensor  # (M,) int64: which unmasking step.
    metrics: TransitionMetrics  # (M,) each.
    gradient_square: Tensor  # (M,) float32: squared norm of the loss's gradient at the transition's logits.


def chosen_transitions(
    groups: Sequence[Group], config: TrainConfig, step: int, epoch: int, policy: Policy
) -> Transitions:
    """Takes what the loss is computed on out of the groups' rollouts, a prompt's side by side.

    Args:
        groups: the kept groups, at least one.
        config: the run's.
        step: training step from 0, for the random choice and the window's place.
        epoch: pass over this rollout, from 0: each makes its own random choice.
        policy: for its code of a masked position and its codes' embeddings.

    Returns:
        The unmasking steps that the selection chooses; or the re-maskings of the forward process, without old terms.
    """
    grpo, num_steps = config.grpo, config.sampling.num_unmasking_steps
    if grpo.objective is Objective.FORWARD_PROCESS:
        return forward_process.remasked_states(groups, config, policy.codebook_size)
    trajectory = joined([group.trajectory for group in groups])
    is_informed = grpo.step_selection is StepSelection.INFORMATION
    generator = torch.Generator().manual_seed(derived_seed(config.seed, "selected steps", step, epoch))
    steps = selected_steps(
        grpo.step_selection,
        num_steps,
        grpo.num_selected_steps,
        len(trajectory.codes),
        window_start(grpo.window, num_steps, grpo.num_selected_steps, step, config.num_steps),
        generator,
        information_gain(trajectory, policy.code_embeddings()) if is_informed else None,
    )
    return transitions_of(
        trajectory,
        [group.prompt for group in groups for _ in group.seeds],
        torch.cat([group.advantages for group in groups]),
        steps,
        policy.codebook_size,
        grpo.transition,
    )


def with_old_terms(policy: Policy, transitions: Transitions, config: TrainConfig) -> Transitions:
    """The transitions with the terms of the policy that sampled: recorded, or computed before the first update."""
    if config.grpo.objective is Objective.TRAJECTORY:
        return transitions
    return forward_process.with_old_terms(policy, transitions, config.optimizer.num_micro_batches)


def replayed(policy: Policy, transitions: Transitions, config: TrainConfig) -> Replay:
    """Recomputes the terms as the objective defines them: the forward-process loss knows no guidance."""
    if config.grpo.objective is Objective.FORWARD_PROCESS:
        return replay(policy, transitions, forward_process.DEFINITION, guidance_scale=0.0)
    return replay(
        policy, transitions, config.grpo.transition, config.sampling.guidance_scale, term_options(config.grpo)
    )


def accumulate(
    policy: Policy, reference: Policy | None, transitions: Transitions, num_transitions: int, config: TrainConfig
) -> tuple[float, TransitionMetrics, Tensor]:
    """Adds the loss's gradient to the parameters' `.grad`, micro-batch by micro-batch.

    The micro-batches add up to the gradient of the whole because each is divided by the whole's `num_transitions`.

    Args:
        policy: the policy that is trained.
        reference: the frozen one, where the KL is wanted.
        transitions: M of them; none at all where there are fewer than processes.
        num_transitions: the step's, those of filtered groups included.
        config: the run's.

    Returns:
        The loss, the metrics of the M transitions, and (M,) squared norms of the gradient at their logits.
    """
    if not len(transitions):
        nothing = torch.zeros(0, device=transitions.step.device)
        return 0.0, TransitionMetrics(nothing, nothing, nothing, nothing), nothing
    losses, metrics, squares = [], [], []
    order = blank_states_first(transitions, policy.codebook_size)
    for part in transitions.index(order).split(config.optimizer.num_micro_batches):
        made = replayed(policy, part, config)
        made.logits.retain_grad()
        reference_terms = None
        if reference is not None:
            with torch.no_grad():
                reference_terms = replayed(reference, part, config).terms
        loss, part_metrics = mask_grpo_loss(
            made.terms,
            part.old_terms,
            reference_terms,
            part.has_term,
            part.advantages,
            config.grpo,
            num_transitions,
            part.is_newly_unmasked,
        )
        loss.backward()
        losses.append(loss.detach())
        metrics.append(part_metrics)
        assert made.logits.grad is not None
        by_row = made.logits.grad.square().sum(dim=1).float()
        squares.append(by_row.new_zeros(len(part)).index_add(0, made.rows // part.codes.shape[1], by_row))
    back = order.argsort()
    return float(torch.stack(losses).sum()), _joined_metrics(metrics, back), torch.cat(squares)[back]


def optimize(
    policy: Policy,
    reference: Policy | None,
    groups: Sequence[Group],
    config: TrainConfig,
    optimizer: PolicyOptimizer,
    step: int,
    processes: Processes = ALONE,
) -> list[PassReport]:
    """Makes the passes over one rollout, an optimizer step each; stops at a gradient that is not a number.

    Every process computes an equal share of the transitions, whoever rolled them out: a filtered group leaves nobody
    without work.

    Args:
        policy: the policy that is trained; it is also the one that sampled.
        reference: the frozen one; used where `kl_beta` is above 0.
        groups: all groups of the step, filtered ones included.
        config: the run's.
        optimizer: holds the policy's parameters.
        step: training step, from 0.
        processes: those that share the step; all have the same groups, and each gets the same reports.

    Returns:
        A report a pass; none where every group was filtered.
    """
    kept = [group for group in groups if group.is_kept]
    reports: list[PassReport] = []
    if not kept:
        return reports
    num_rollouts = sum(len(group.seeds) for group in groups)
    for epoch in range(config.grpo.num_epochs):
        # Fresh re-maskings in every epoch would need the old policy again, which is gone after the first.
        if epoch == 0 or config.grpo.objective is Objective.TRAJECTORY:
            transitions = chosen_transitions(kept, config, step, epoch, policy)
            own = _share(transitions, policy, config, processes)
        num_kept_rollouts = sum(len(group.seeds) for group in kept)
        num_transitions = len(transitions) * num_rollouts // num_kept_rollouts
        optimizer.zero_gradient()
        penalising = reference if config.grpo.kl_beta > 0 else None
        with processes.together():
            loss, metrics, squares = accumulate(policy, penalising, own, num_transitions, config)
        processes.sum_gradients(optimizer.parameters)
        loss, metrics, squares = _pooled(loss, metrics, squares, processes)
        update = optimizer.apply(step)
        report = PassReport(
            loss, update.gradient_norm, update.learning_rate, update.is_applied, transitions.step, metrics, squares
        )
        reports.append(report)
        if not (math.isfinite(update.gradient_norm) and math.isfinite(loss)):
            break
    optimizer.zero_gradient()
    return reports


def _share(transitions: Transitions, policy: Policy, config: TrainConfig, processes: Processes) -> Transitions:
    """The transitions whose gradient is this process's to compute, old terms included."""
    if not processes.is_alone:
        places = torch.tensor(processes.share(len(transitions)), device=transitions.step.device).long()
        transitions = transitions.index(places)
    with processes.together():
        return with_old_terms(policy, transitions, config)


def _pooled(
    loss: float, metrics: TransitionMetrics, squares: Tensor, processes: Processes
) -> tuple[float, TransitionMetrics, Tensor]:
    """The loss of all processes' shares, and their metrics side by side."""
    if processes.is_alone:
        return loss, metrics, squares
    device = squares.device
    on_cpu = TransitionMetrics(*(getattr(metrics, each.name).cpu() for each in fields(TransitionMetrics)))
    found = processes.gathered([(loss, on_cpu, squares.cpu())])
    pooled = _joined_metrics([each for _, each, _ in found])
    pooled = TransitionMetrics(*(getattr(pooled, each.name).to(device) for each in fields(TransitionMetrics)))
    return sum(each for each, _, _ in found), pooled, torch.cat([each for _, _, each in found]).to(device)


def joined(trajectories: Sequence[Trajectory]) -> Trajectory:
    """Lays trajectories of T steps side by side as one batch."""
    return Trajectory(
        codes=torch.cat([each.codes for each in trajectories]),
        unmasked_at=torch.cat([each.unmasked_at for each in trajectories]),
        drawn=torch.cat([each.drawn for each in trajectories], dim=1),
        confidence=torch.cat([each.confidence for each in trajectories], dim=1),
        entropy=torch.cat([each.entropy for each in trajectories], dim=1),
        log_prob=torch.cat([each.log_prob for each in trajectories], dim=1),
        token_log_prob=torch.cat([each.token_log_prob for each in trajectories], dim=1),
        order=torch.cat([each.order for each in trajectories]),
        temperature=trajectories[0].temperature,
    )


def _joined_metrics(parts: Sequence[TransitionMetrics], rows: Tensor | None = None) -> TransitionMetrics:
    """The parts' metrics side by side; with (M,) `rows` in that order."""
    whole = (torch.cat([getattr(part, each.name) for part in parts]) for each in fields(TransitionMetrics))
    return TransitionMetrics(*(each if rows is None else each[rows] for each in whole))
