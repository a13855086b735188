"""From kept groups to optimizer steps: which transitions each pass is over, and who computes which of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from backend.schemas.algorithm import StepSelection
from backend.schemas.config import TrainConfig
from backend.schemas.objective import Objective
from worker.maskgrpo import forward_process
from worker.maskgrpo.gradient import Accumulated, accumulate, joined_metrics, pass_for_nothing, with_old_terms
from worker.maskgrpo.loss import TransitionMetrics
from worker.maskgrpo.optimizer import PolicyOptimizer
from worker.maskgrpo.processes import ALONE, Processes
from worker.maskgrpo.replay import Transitions, transitions_of
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.selection import information_gain, selected_steps, window_start
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
        The unmasking steps that the selection chooses, their old terms as recorded; or the re-maskings of the forward
        process, without old terms.
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
    num_kept_rollouts = sum(len(group.seeds) for group in kept)
    passes = _passes(kept, config, step, policy, processes)
    penalising = reference if config.grpo.kl_beta > 0 else None
    for epoch in range(config.grpo.num_epochs):
        steps, own, spare = passes[epoch % len(passes)]
        num_transitions = len(steps) * num_rollouts // num_kept_rollouts
        optimizer.zero_gradient()
        with processes.together():
            found = accumulate(policy, penalising, own, num_transitions, config, is_first_pass=epoch == 0)
            for _ in range(processes.num_idle(len(steps), config.optimizer.num_micro_batches)):
                pass_for_nothing(policy, penalising, spare, config)
        if len(passes) == 1 and epoch == 0:
            passes = [(steps, replace(own, old_terms=found.terms), spare)]
        processes.sum_gradients(optimizer.parameters)
        loss, metrics, squares = _pooled(found, processes)
        update = optimizer.apply(step)
        report = PassReport(
            loss, update.gradient_norm, update.learning_rate, update.is_applied, steps, metrics, squares
        )
        reports.append(report)
        if not (math.isfinite(update.gradient_norm) and math.isfinite(loss)):
            break
    optimizer.zero_gradient()
    return reports


def _passes(
    kept: Sequence[Group], config: TrainConfig, step: int, policy: Policy, processes: Processes
) -> list[tuple[Tensor, Transitions, Transitions]]:
    """What the passes are over: (M,) unmasking steps of the whole, this process's share, and one to pass for nothing.

    One for all passes, or one each. It is called before the first update. A pass that chooses anew gets its old terms
    here, for the policy that they are of is gone when it begins; the first pass has no need of them.
    """
    is_redrawn = config.grpo.step_selection is StepSelection.RANDOM and config.grpo.objective is Objective.TRAJECTORY
    passes = []
    for epoch in range(config.grpo.num_epochs if is_redrawn else 1):
        transitions = chosen_transitions(kept, config, step, epoch, policy)
        own = _share(transitions, processes)
        spare = transitions.index(torch.zeros(1, dtype=torch.long, device=transitions.step.device))
        if epoch:
            with processes.together():
                own = with_old_terms(policy, own, config)
                for _ in range(processes.num_idle(len(transitions), config.optimizer.num_micro_batches)):
                    with_old_terms(policy, spare, config)
        passes.append((transitions.step, own, spare))
    return passes


def _share(transitions: Transitions, processes: Processes) -> Transitions:
    """The transitions whose gradient is this process's to compute."""
    if processes.is_alone:
        return transitions
    places = torch.tensor(processes.share(len(transitions)), device=transitions.step.device).long()
    return transitions.index(places)


def _pooled(found: Accumulated, processes: Processes) -> tuple[float, TransitionMetrics, Tensor]:
    """The loss of all processes' shares, and their metrics side by side."""
    loss, metrics, squares = float(found.loss), found.metrics, found.gradient_square
    if processes.is_alone:
        return loss, metrics, squares
    device = squares.device
    on_cpu = TransitionMetrics(*(getattr(metrics, each.name).cpu() for each in fields(TransitionMetrics)))
    shares = processes.gathered([(loss, on_cpu, squares.cpu())])
    pooled = joined_metrics([each for _, each, _ in shares])
    pooled = TransitionMetrics(*(getattr(pooled, each.name).to(device) for each in fields(TransitionMetrics)))
    return sum(each for each, _, _ in shares), pooled, torch.cat([each for _, _, each in shares]).to(device)


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
